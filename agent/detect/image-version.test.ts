import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { versionOfImage } from './image-version.ts';

describe('versionOfImage', () => {
  const rows: [string, string][] = [
    ['k8s.gcr.io/kube-apiserver:v1.20.2', '1.20.2'],
    ['k8s.gcr.io/etcd:3.4.13-0', '3.4.13'],
    ['registry.local:5000/k8s/etcd:v3.5.9', '3.5.9'],
    [`registry.k8s.io/kube-scheduler:v1.31.0-rc.1@sha256:${'0a'.repeat(32)}`, '1.31.0-rc.1'],
    ['quay.io/coreos/hyperkube:v1.18.3_coreos.0', '1.18.3'],
    ['public.ecr.aws/eks-distro/kube-apiserver:v1.27.3-eks-1-27-9', '1.27.3'],
    ['registry.local:5000/etcd', ''],
    ['registry.local/1.2.3/etcd:latest', ''],
    [`etcd@sha256:${'0a'.repeat(32)}`, ''],
    ['etcd:v3.5', ''],
    ['etcd:1.2.3.4', ''],
    ['', ''],
  ];
  for (const [image, version] of rows) {
    it(`reads "${version}" out of ${image.slice(0, 60)}`, () => assert.equal(versionOfImage(image), version));
  }
});
