/** Callers that have nothing of the cluster's: every port meets them, and none of them proves anything. */
import type { Host } from './host.ts';

/** What strangers called, and how often they were answered with HTTP 2xx. */
export interface Knocks {
  asked: number;
  letIn: number;
}

/** Runs on a host that has curl and openssl. */
const KNOCK = String.raw`
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /O=system:masters/CN=stranger \
  -keyout /root/stranger.key -out /root/stranger.crt 2>/dev/null
end=$(( $(date +%s) + $1 )); asked=0; shift
: >/root/let-in
ask() { [[ $(curl -s -o /dev/null -m 3 -w '%{http_code}' "$@") == 2* ]] && echo "$*" >>/root/let-in; }
while (( $(date +%s) < end )); do
  for target in "$@"; do
    case $(( asked % 3 )) in
      0) ask "https://$target/api/v1/nodes" & ;;
      1) ask -k --cert /root/stranger.crt --key /root/stranger.key "https://$target/v3/kv/range" -d '{"key":"AA=="}' & ;;
      2) ask "http://$target/pods" & ;;
    esac
    asked=$(( asked + 1 ))
    sleep 0.1
  done
done
wait
cat /root/let-in >&2
echo $asked $(wc -l </root/let-in)`;

/**
 * Calls each target, "10.77.0.10:2379", in turn from a host, ten times a second: without the CA, with a certificate that it signed itself,
 * and in plaintext.
 */
export async function knock(host: Host, targets: readonly string[], seconds: number): Promise<Knocks> {
  // each target meets each kind: their number must not be a multiple of three
  const all = targets.length % 3 === 0 ? [...targets, targets[0] ?? ''] : targets;
  const printed = await host.sh(`set -- ${seconds} ${all.join(' ')}\n${KNOCK}`, (seconds + 60) * 1000);
  const [asked = 0, letIn = 0] = printed.trim().split(' ').map(Number);
  return { asked, letIn };
}
