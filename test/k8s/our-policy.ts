// What we hold every manifest of ours to, beyond its schema. Each rule says what it found and where; a manifest is right
// when none finds anything.

import { X509Certificate, createPrivateKey, createPublicKey } from 'node:crypto';
import { parse } from 'yaml';
import { called, ofKind, type ConfigMap, type Container, type Deployment, type KubernetesObject, type PodSpec, type Secret } from './kubernetes-object.js';

type Objects = readonly KubernetesObject[];

/** Every violation, as `object: what`. */
export const violations = (objects: Objects): string[] => RULES.flatMap((rule) => rule(objects));

const containersOf = ({ containers, initContainers = [] }: PodSpec): readonly Container[] => [...initContainers, ...containers];

const perContainer = (objects: Objects, judge: (container: Container, pod: PodSpec) => (string | false)[]): string[] =>
  ofKind<Deployment>(objects, 'Deployment').flatMap((deployment) => {
    const pod = deployment.spec.template.spec;
    return containersOf(pod).flatMap((container) => judge(container, pod).filter((found) => found !== false).map((found) => `${called(deployment)} container ${container.name}: ${found}`));
  });

const perPod = (objects: Objects, judge: (pod: PodSpec, deployment: Deployment) => (string | false)[]): string[] =>
  ofKind<Deployment>(objects, 'Deployment').flatMap((deployment) =>
    judge(deployment.spec.template.spec, deployment).filter((found) => found !== false).map((found) => `${called(deployment)}: ${found}`));

const images = (objects: Objects): string[] =>
  perContainer(objects, ({ image }) => {
    const [, tag, digest] = /^[^:@]+(?:\/[^:@]+)*(?::([\w][\w.-]*))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(image) ?? [];
    return [tag === undefined && digest === undefined && `image ${image} is pinned by neither tag nor digest`, tag === 'latest' && 'image with the tag latest'];
  });

const limits = (objects: Objects): string[] =>
  perContainer(objects, ({ resources = {} }) =>
    (['requests', 'limits'] as const).flatMap((bound) => ['cpu', 'memory'].map((what) => resources[bound]?.[what] === undefined && `no ${what} in resources.${bound}`)));

const probes = (objects: Objects): string[] =>
  perContainer(objects, (container) => (['startupProbe', 'livenessProbe', 'readinessProbe'] as const).map((probe) => container[probe] === undefined && `no ${probe}`));

const privilege = (objects: Objects): string[] => [
  ...perContainer(objects, ({ securityContext: own = {}, ports = [] }) => [
    own.privileged === true && 'privileged',
    own.allowPrivilegeEscalation !== false && 'may escalate privileges',
    own.readOnlyRootFilesystem !== true && 'root file system is writable',
    own.capabilities?.drop?.includes('ALL') !== true && 'keeps capabilities',
    (own.capabilities?.add ?? []).length > 0 && 'adds capabilities',
    own.runAsNonRoot === false && 'may run as root',
    own.runAsUser === 0 && 'runs as root',
    own.procMount !== undefined && 'changes /proc',
    own.seccompProfile !== undefined && own.seccompProfile.type === 'Unconfined' && 'seccomp is off',
    ports.some(({ hostPort }) => hostPort !== undefined) && 'takes a port of the node',
  ]),
  ...perPod(objects, ({ securityContext: own = {}, ...pod }) => [
    own.runAsNonRoot !== true && 'may run as root',
    !(own.runAsUser! > 0 && own.runAsGroup! > 0) && 'user and group are not said',
    own.seccompProfile?.type !== 'RuntimeDefault' && 'no seccomp profile',
    (pod.hostNetwork === true || pod.hostPID === true || pod.hostIPC === true) && 'shares a namespace of the node',
    ...(pod.volumes ?? []).map((volume) => !volume.configMap && !volume.secret && !volume.emptyDir && `volume ${volume.name} is none of configMap, secret, emptyDir`),
    ...(pod.volumes ?? []).map((volume) => volume.emptyDir !== undefined && volume.emptyDir.sizeLimit === undefined && `volume ${volume.name} has no size limit`),
  ]),
];

const clusterAccess = (objects: Objects): string[] => [
  ...perPod(objects, (pod, { metadata: { namespace } }) => [
    pod.automountServiceAccountToken !== false && 'mounts a token for the cluster',
    !ofKind(objects, 'ServiceAccount').some(({ metadata }) => metadata.name === pod.serviceAccountName && metadata.namespace === namespace) && 'has no service account of its own',
  ]),
  ...ofKind(objects, 'ServiceAccount').filter((account) => account.automountServiceAccountToken !== false).map((account) => `${called(account)}: mounts a token for the cluster`),
];

const SECRET_TEXT = /-----BEGIN [A-Z ]*PRIVATE KEY-----|^\s*(?:-\s*)?["']?(?:secret|password|token)["']?\s*:\s*\S/m;

const secretsInTheirPlace = (objects: Objects): string[] => [
  ...ofKind<ConfigMap>(objects, 'ConfigMap').flatMap((map) => Object.entries(map.data).filter(([, text]) => SECRET_TEXT.test(text)).map(([key]) => `${called(map)}: a secret in ${key}`)),
  ...perContainer(objects, ({ env = [], envFrom = [], args = [] }) => [
    envFrom.length > 0 && 'environment from elsewhere',
    env.some(({ valueFrom, value }) => valueFrom !== undefined || SECRET_TEXT.test(value ?? '')) && 'a secret in its environment',
    args.some((arg) => SECRET_TEXT.test(arg)) && 'a secret in its arguments',
  ]),
  ...perPod(objects, (pod) =>
    (pod.volumes ?? []).filter(({ secret }) => secret).flatMap(({ name, secret }) => {
      const holders = containersOf(pod).filter(({ volumeMounts = [] }) => volumeMounts.some((mount) => mount.name === name));
      return [
        holders.length !== 1 && `secret volume ${name} is mounted in ${holders.length} containers`,
        secret!.defaultMode !== 0o400 && `secret volume ${name} has no mode 0400`,
        ...holders.map(({ env = [], name: holder }) =>
          env.find((one) => one.name === 'ZTNA_SECRETS_GROUP')?.value !== String(pod.securityContext?.fsGroup) && `${holder}: ZTNA_SECRETS_GROUP is not the fsGroup`),
        ...holders.flatMap(({ volumeMounts = [] }) => volumeMounts.filter((mount) => mount.name === name && mount.readOnly !== true).map(() => `secret volume ${name} is writable`)),
      ];
    })),
];

/** In no object: whoever read it could be anybody. */
const caKeyNowhere = (objects: Objects): string[] => [
  ...ofKind<Secret>(objects, 'Secret').flatMap((secret) => {
    const text = Object.values(secret.data).map((value) => Buffer.from(value, 'base64').toString());
    const keys = text.filter((one) => /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(one)).map((pem) => createPublicKey(createPrivateKey(pem)).export({ type: 'spki', format: 'pem' }));
    const authorities = text.flatMap((one) => one.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((pem) => new X509Certificate(pem)).filter(({ ca }) => ca);
    return authorities.some(({ publicKey }) => keys.includes(publicKey.export({ type: 'spki', format: 'pem' }))) ? [`${called(secret)}: the private key of a CA`] : [];
  }),
  ...[...ofKind(objects, 'Issuer'), ...ofKind(objects, 'ClusterIssuer')].filter(({ spec }) => 'ca' in (spec as object) || 'selfSigned' in (spec as object)).map((issuer) => `${called(issuer)}: has the private key of a CA in the cluster`),
];

interface NetworkPolicy extends KubernetesObject {
  readonly spec: { readonly podSelector: { readonly matchLabels?: object }; readonly policyTypes?: readonly string[]; readonly ingress?: readonly unknown[]; readonly egress?: readonly unknown[] };
}

const namespacesAreClosed = (objects: Objects): string[] =>
  [...new Set(objects.flatMap(({ kind, metadata }) => (kind === 'Deployment' ? [metadata.namespace ?? 'default'] : [])))].flatMap((namespace) => {
    const declared = ofKind(objects, 'Namespace').find(({ metadata }) => metadata.name === namespace);
    const deny = ofKind<NetworkPolicy>(objects, 'NetworkPolicy').filter(({ metadata }) => metadata.namespace === namespace).some(({ spec }) =>
      Object.keys(spec.podSelector).length === 0 && spec.policyTypes?.join() === 'Ingress,Egress' && !spec.ingress && !spec.egress);
    return [
      ...(deny ? [] : [`Namespace ${namespace}: no policy denies all traffic that no other allows`]),
      ...(declared?.metadata.labels?.['pod-security.kubernetes.io/enforce'] === 'restricted' ? [] : [`Namespace ${namespace}: does not enforce the restricted pod security standard`]),
    ];
  });

const drains = (objects: Objects): string[] =>
  perPod(objects, (pod, { metadata: { namespace } }) =>
    ofKind<ConfigMap>(objects, 'ConfigMap')
      .filter(({ metadata }) => metadata.namespace === namespace && pod.volumes?.some(({ configMap }) => configMap?.name === metadata.name))
      .map(({ data }) => {
        const { drainTimeout } = parse(data['relay.yaml'] ?? '{}') as { drainTimeout?: string };
        const seconds = Number.parseInt(drainTimeout ?? '0', 10);
        const grace = pod.terminationGracePeriodSeconds ?? 30;
        return drainTimeout !== undefined && grace < seconds + 10 && `is killed after ${grace} s, before ${drainTimeout} of draining are over`;
      }));

interface Selecting extends KubernetesObject {
  readonly spec: {
    readonly selector?: Readonly<Record<string, unknown>>;
    readonly podSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly ports?: readonly { readonly targetPort?: string | number; readonly protocol?: string }[];
    readonly ingress?: readonly { readonly ports?: readonly { readonly port?: string | number; readonly protocol?: string }[] }[];
  };
}

/** Selectors find the pods they are for, and named ports exist there. */
const selectorsMatch = (objects: Objects): string[] =>
  (['Deployment', 'Service', 'PodDisruptionBudget', 'NetworkPolicy'] as const).flatMap((kind) =>
    ofKind<Selecting>(objects, kind).flatMap((object) => {
      const { selector, podSelector, ports = [], ingress = [] } = object.spec;
      const labels = (kind === 'Service' ? selector : kind === 'NetworkPolicy' ? podSelector?.matchLabels : selector?.matchLabels) as Readonly<Record<string, string>> | undefined;
      if (labels === undefined) return [];
      const pods = ofKind<Deployment>(objects, 'Deployment')
        .filter(({ metadata, spec }) => metadata.namespace === object.metadata.namespace && Object.entries(labels).every(([key, value]) => spec.template.metadata.labels[key] === value))
        .map(({ spec }) => spec.template.spec);
      const wanted = [...ports.map(({ targetPort, protocol }) => [targetPort, protocol]), ...ingress.flatMap(({ ports: allowed = [] }) => allowed.map(({ port, protocol }) => [port, protocol]))];
      const has = (pod: PodSpec, name: unknown, protocol: unknown): boolean => pod.containers.some((container) => container.ports?.some((port) => port.name === name && port.protocol === protocol));
      return [
        ...(pods.length === 0 ? [`${called(object)}: selects no pod`] : []),
        ...pods.flatMap((pod) => wanted.filter(([name, protocol]) => !has(pod, name, protocol)).map(([name, protocol]) => `${called(object)}: no port ${String(name)}/${String(protocol)} in its pods`)),
      ];
    }));

/** Every object that a pod or an account names is there. */
const nothingDangles = (objects: Objects): string[] =>
  perPod(objects, (pod, { metadata: { namespace } }) => {
    const has = (kind: string, name: string): boolean => ofKind(objects, kind).some(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
    const made = (name: string): boolean => ofKind(objects, 'Certificate').some(({ metadata, spec }) => metadata.namespace === namespace && (spec as { secretName: string }).secretName === name);
    return [
      ...(pod.volumes ?? []).flatMap(({ configMap, secret }) => [
        configMap !== undefined && !has('ConfigMap', configMap.name) && `no ConfigMap ${configMap.name}`,
        secret !== undefined && !has('Secret', secret.secretName) && !made(secret.secretName) && `no Secret ${secret.secretName}`,
      ]),
      ...containersOf(pod).flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => !pod.volumes?.some((volume) => volume.name === name) && `no volume ${name}`)),
    ];
  });

const udpKeepsAddresses = (objects: Objects): string[] =>
  ofKind(objects, 'Service').filter(({ spec }) => (spec as { type?: string }).type === 'LoadBalancer' && (spec as { externalTrafficPolicy?: string }).externalTrafficPolicy !== 'Local')
    .map((service) => `${called(service)}: hides the addresses of clients`);

const RULES = [images, limits, probes, privilege, clusterAccess, secretsInTheirPlace, caKeyNowhere, namespacesAreClosed, drains, selectorsMatch, nothingDangles, udpKeepsAddresses];
