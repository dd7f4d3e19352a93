/** A certificate for tests that only look at where one stands. */

/** Self-signed, CN=test, P-256; nobody kept its key. */
export const CERTIFICATE_PEM = `-----BEGIN CERTIFICATE-----
MIIBczCCARmgAwIBAgIUG1T/EQL2N8Khf/dQYPfkglApRq4wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAeFw0yNjExMjQxMTQ5MjZaFw0zNjExMjExMTQ5MjZa
MA8xDTALBgNVBAMMBHRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASfobhZ
xaySNd9dxjdtTwqaPqiGUGReaJBGHvnoUrB7IF9Bjb0E0LDNoM7/CEvIETnncY1F
wANdZqizTQcMW8qWo1MwUTAdBgNVHQ4EFgQUzfwCY1uG9GqzlqOjFx1BZYDJA6ow
HwYDVR0jBBgwFoAUzfwCY1uG9GqzlqOjFx1BZYDJA6owDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNIADBFAiEA7/dJoU9BV0rW9hMI8cEudplTl0m5CeGkTQFF
nVJAbcUCIHftr4qXQFjYjVvfUGbeHGCldHwBo2PN0Cqtifotkgo5
-----END CERTIFICATE-----
`;

/** A kubeconfig in the form of kubeadm's, its user's certificate given as YAML lines. */
export function kubeconfigText(userCertificate: string): string {
  return `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: ${Buffer.from(CERTIFICATE_PEM).toString('base64')}
    server: https://10.77.0.10:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: me
  name: me@kubernetes
current-context: me@kubernetes
kind: Config
preferences: {}
users:
- name: me
  user:
    ${userCertificate}
`;
}
