import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { editKubeletConfig, renderKubeletDropIn } from './edit-kubelet-config.ts';

const all = { clientCa: '/k/client-ca.crt', servingCertificate: '/k/serving.crt', servingKey: '/k/serving.key' };
const text = `kind: KubeletConfiguration
authentication:
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt # callers
rotateCertificates: true
serverTLSBootstrap: true
`;

describe('editKubeletConfig', () => {
  it('moves the roots alone while there are no leaves, and leaves the kubelet its rotation', () => {
    const want = text.replace('/etc/kubernetes/pki/ca.crt', '/k/client-ca.crt');
    assert.equal(editKubeletConfig(text, { clientCa: '/k/client-ca.crt' }), want);
    assert.equal(editKubeletConfig(want, { clientCa: '/k/client-ca.crt' }), want);
  });

  it('ends the rotation of the kubelet where leaves are ours, once', () => {
    const once = editKubeletConfig(text, all);
    assert.equal(
      once,
      `kind: KubeletConfiguration
authentication:
  x509:
    clientCAFile: /k/client-ca.crt # callers
  anonymous:
    enabled: false
rotateCertificates: false
serverTLSBootstrap: false
tlsCertFile: /k/serving.crt
tlsPrivateKeyFile: /k/serving.key
`,
    );
    assert.equal(editKubeletConfig(once, all), once);
  });

  it('does not name a bootstrap that nobody switched on', () => {
    assert.doesNotMatch(editKubeletConfig('kind: KubeletConfiguration\n', all), /serverTLSBootstrap/);
  });
});

describe('renderKubeletDropIn', () => {
  const head =
    '# written by kube-mtls-agent; changes are overwritten\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n';

  it('holds our keys and no other', () => {
    assert.equal(
      renderKubeletDropIn(all),
      `${head}tlsCertFile: /k/serving.crt
tlsPrivateKeyFile: /k/serving.key
authentication:
  x509:
    clientCAFile: /k/client-ca.crt
  anonymous:
    enabled: false
rotateCertificates: false
serverTLSBootstrap: false
`,
    );
  });

  it('holds the roots alone while there are no leaves', () => {
    assert.equal(
      renderKubeletDropIn({ clientCa: '/k/client-ca.crt' }),
      `${head}authentication:\n  x509:\n    clientCAFile: /k/client-ca.crt\n`,
    );
  });
});
