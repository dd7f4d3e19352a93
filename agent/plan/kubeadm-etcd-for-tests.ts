/**
 * Manifests of etcd for tests: byte for byte as kubeadm 1.20.2 wrote it (init phase etcd local), and as kubeadm 1.34 and one before
 * 1.17 lay it out. As text, so that no formatter touches them.
 */

/** etcd, kubeadm 1.20.2. */
export const etcd120 = `apiVersion: v1
kind: Pod
metadata:
  annotations:
    kubeadm.kubernetes.io/etcd.advertise-client-urls: https://10.77.0.20:2379
  creationTimestamp: null
  labels:
    component: etcd
    tier: control-plane
  name: etcd
  namespace: kube-system
spec:
  containers:
  - command:
    - etcd
    - --advertise-client-urls=https://10.77.0.20:2379
    - --cert-file=/etc/kubernetes/pki/etcd/server.crt
    - --client-cert-auth=true
    - --data-dir=/var/lib/etcd
    - --initial-advertise-peer-urls=https://10.77.0.20:2380
    - --initial-cluster=m1=https://10.77.0.20:2380
    - --key-file=/etc/kubernetes/pki/etcd/server.key
    - --listen-client-urls=https://127.0.0.1:2379,https://10.77.0.20:2379
    - --listen-metrics-urls=http://127.0.0.1:2381
    - --listen-peer-urls=https://10.77.0.20:2380
    - --name=m1
    - --peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt
    - --peer-client-cert-auth=true
    - --peer-key-file=/etc/kubernetes/pki/etcd/peer.key
    - --peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt
    - --snapshot-count=10000
    - --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt
    image: k8s.gcr.io/etcd:3.4.13-0
    imagePullPolicy: IfNotPresent
    livenessProbe:
      failureThreshold: 8
      httpGet:
        host: 127.0.0.1
        path: /health
        port: 2381
        scheme: HTTP
      initialDelaySeconds: 10
      periodSeconds: 10
      timeoutSeconds: 15
    name: etcd
    resources:
      requests:
        cpu: 100m
        ephemeral-storage: 100Mi
        memory: 100Mi
    startupProbe:
      failureThreshold: 24
      httpGet:
        host: 127.0.0.1
        path: /health
        port: 2381
        scheme: HTTP
      initialDelaySeconds: 10
      periodSeconds: 10
      timeoutSeconds: 15
    volumeMounts:
    - mountPath: /var/lib/etcd
      name: etcd-data
    - mountPath: /etc/kubernetes/pki/etcd
      name: etcd-certs
  hostNetwork: true
  priorityClassName: system-node-critical
  volumes:
  - hostPath:
      path: /etc/kubernetes/pki/etcd
      type: DirectoryOrCreate
    name: etcd-certs
  - hostPath:
      path: /var/lib/etcd
      type: DirectoryOrCreate
    name: etcd-data
status: {}
`;

/** etcd, kubeadm 1.34 (etcd 3.6): ports by name, a readiness probe, seccomp, no creationTimestamp. */
export const etcd134 = etcd120
  .replace('  creationTimestamp: null\n', '')
  .replace('    - --initial-adv', '    - --feature-gates=InitialCorruptCheck=true\n    - --initial-adv')
  .replace(/(- --trusted-ca-file=.*\n)/, '$1    - --watch-progress-notify-interval=5s\n')
  .replace('k8s.gcr.io/etcd:3.4.13-0', 'registry.k8s.io/etcd:3.6.5-0')
  .replaceAll('port: 2381', 'port: probe-port')
  .replace('path: /health', 'path: /livez')
  .replace('path: /health', 'path: /readyz')
  .replace(
    '    name: etcd\n    resources:\n',
    `    name: etcd
    ports:
    - containerPort: 2381
      name: probe-port
      protocol: TCP
    readinessProbe:
      failureThreshold: 3
      httpGet:
        host: 127.0.0.1
        path: /readyz
        port: probe-port
        scheme: HTTP
      periodSeconds: 1
      timeoutSeconds: 15
    resources:
`,
  )
  .replace('        ephemeral-storage: 100Mi\n', '')
  .replace(
    '  volumes:\n',
    '  priority: 2000001000\n  securityContext:\n    seccompProfile:\n      type: RuntimeDefault\n  volumes:\n',
  );

/** etcd, kubeadm before 1.17: the liveness probe calls etcdctl with certificates. */
export const etcd116 = etcd120.replace(
  /livenessProbe:[\s\S]*?initialDelaySeconds: 10/,
  `livenessProbe:
      exec:
        command:
        - /bin/sh
        - -ec
        - ETCDCTL_API=3 etcdctl --endpoints=https://[127.0.0.1]:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt
          --cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt --key=/etc/kubernetes/pki/etcd/healthcheck-client.key
          get foo
      failureThreshold: 8
      initialDelaySeconds: 15`,
);
