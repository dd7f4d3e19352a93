/** Names of the fields that log entries carry, so that one query finds one thing on both sides. */

/** Fields of a log entry; every name used in the project stands here. */
export interface LogFields {
  node?: string;
  component?: string;
  unit?: string;
  profile?: string;
  serial?: string;
  path?: string;
  changeId?: string;
  permitId?: string;
  tokenId?: string;
  actor?: string;
  source?: string;
  method?: string;
  code?: string;
  reason?: string;
  state?: string;
  stage?: string;
  address?: string;
  attempt?: number;
  count?: number;
  retryMs?: number;
  elapsedMs?: number;
  generation?: number;
  detail?: string;
  line?: string;
  error?: unknown;
}
