import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { CreateTokenRequestSchema } from '../../proto/gen/kubemtls/v1/token_pb.js';
import { NodeRole } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { Caller } from '../caller.ts';
import type { EventDraft, TokenRecord } from '../store/store.ts';
import { createToken } from './create-token.ts';
import { hashSecret } from './token-text.ts';

const caller: Caller = { kind: 'admin', name: 'root', role: 'admin', serial: '1', address: '127.0.0.1' };

function fakes() {
  const tokens: TokenRecord[] = [];
  const events: EventDraft[] = [];
  const store = {
    insertToken: async (token: TokenRecord) => void tokens.push(token),
    appendEvent: async (event: EventDraft) => void events.push(event),
  };
  const deps = { store, clock: new FakeClock(), bootstrapEndpoint: 'cp1:9443', fleetPin: `sha256:${'ab'.repeat(32)}` };
  return { deps, tokens, events };
}

type Fields = Parameters<typeof create<typeof CreateTokenRequestSchema>>[1];
const request = (fields: Fields) => create(CreateTokenRequestSchema, { role: NodeRole.WORKER, ...fields });

describe('createToken', () => {
  it('shows the secret once, keeps its hash, and tells nobody else', async () => {
    const { deps, tokens, events } = fakes();
    const { token = '' } = await createToken(request({}), caller, deps);
    const [id, secret = ''] = token.split('.');
    assert.match(token, /^[a-z0-9]{8}\.[a-z0-9]{32}$/);
    assert.equal(tokens[0]?.id, id);
    assert.equal(tokens[0]?.secretSha256, hashSecret(secret));
    assert.doesNotMatch(JSON.stringify([tokens, events]), new RegExp(secret));
  });

  it('lives 24 hours and enrols one node unless told otherwise', async () => {
    const { deps, tokens } = fakes();
    await createToken(request({}), caller, deps);
    assert.equal(tokens[0]?.expiresAtMs, deps.clock.nowMs() + 86_400_000);
    assert.equal(tokens[0]?.maxUses, 1);
  });

  it('prints the whole join line, with the name when there is exactly one', async () => {
    const { deps } = fakes();
    const named = await createToken(request({ nodeNames: ['w1'] }), caller, deps);
    assert.equal(
      named.joinCommand,
      `kube-mtls-agent join cp1:9443 --token ${named.token} --ca-hash ${deps.fleetPin} --node-name w1`,
    );
    const pattern = await createToken(request({ nodeNames: ['w-*'] }), caller, deps);
    assert.doesNotMatch(pattern.joinCommand ?? '', /--node-name/);
  });

  const refused: [string, Fields][] = [
    ['no role', { role: NodeRole.UNSPECIFIED }],
    ['a life of a second', { ttl: durationFromMs(1000) }],
    ['a life of a year', { ttl: durationFromMs(365 * 86_400_000) }],
    ['a negative life', { ttl: durationFromMs(-60_000) }],
    ['too many uses', { maxUses: 1001 }],
    ['a name in capitals', { nodeNames: ['W1'] }],
    ['a name with a line break', { nodeNames: ['w1\nx'] }],
    ['a name with a slash', { nodeNames: ['a/b'] }],
    ['an empty name', { nodeNames: [''] }],
    ['an address that is none', { addresses: ['10.0.0'] }],
    ['addresses for several nodes', { addresses: ['10.0.0.1'], maxUses: 2 }],
    ['a network without prefix', { sourceNetworks: ['10.0.0.0'] }],
    ['a network with too long a prefix', { sourceNetworks: ['10.0.0.0/33'] }],
  ];
  for (const [what, fields] of refused) {
    it(`refuses ${what}`, async () => {
      const { deps, tokens } = fakes();
      await assert.rejects(createToken(request(fields), caller, deps), (error) => {
        return error instanceof AppError && error.reason === 'invalid-request';
      });
      assert.equal(tokens.length, 0);
    });
  }
});
