// Rendered Kubernetes objects as tests read them: the few fields that are looked at, everything else as it came.

export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly [field: string]: unknown;
}

export interface Probe {
  readonly exec?: { readonly command: readonly string[] };
  readonly httpGet?: { readonly path: string; readonly port: string | number; readonly scheme?: string };
  readonly periodSeconds?: number;
  readonly failureThreshold?: number;
}

export interface SecurityContext {
  readonly allowPrivilegeEscalation?: boolean;
  readonly privileged?: boolean;
  readonly readOnlyRootFilesystem?: boolean;
  readonly runAsUser?: number;
  readonly runAsNonRoot?: boolean;
  readonly procMount?: string;
  readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  readonly seccompProfile?: { readonly type: string };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: unknown }[];
  readonly envFrom?: readonly unknown[];
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number; readonly protocol?: string; readonly hostPort?: number }[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
  readonly resources?: { readonly requests?: Readonly<Record<string, string>>; readonly limits?: Readonly<Record<string, string>> };
  readonly securityContext?: SecurityContext;
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
}

export interface Volume {
  readonly name: string;
  readonly configMap?: { readonly name: string };
  readonly secret?: { readonly secretName: string; readonly defaultMode?: number };
  readonly emptyDir?: { readonly medium?: string; readonly sizeLimit?: string };
  readonly [other: string]: unknown;
}

export interface PodSpec {
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly securityContext?: SecurityContext & { readonly runAsGroup?: number; readonly fsGroup?: number; readonly supplementalGroups?: readonly number[] };
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Volume[];
}

export interface Deployment extends KubernetesObject {
  readonly spec: {
    readonly replicas?: number;
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly template: { readonly metadata: { readonly labels: Readonly<Record<string, string>> }; readonly spec: PodSpec };
  };
}

export interface ConfigMap extends KubernetesObject {
  readonly data: Readonly<Record<string, string>>;
}

/** `data` is base64. */
export interface Secret extends KubernetesObject {
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
}

export interface Certificate extends KubernetesObject {
  readonly spec: {
    readonly secretName: string;
    readonly uris: readonly string[];
    readonly dnsNames: readonly string[];
    readonly commonName: string;
    readonly usages: readonly string[];
    readonly privateKey: { readonly algorithm: string; readonly size: number; readonly encoding: string };
  };
}

export const ofKind = <O extends KubernetesObject>(objects: readonly KubernetesObject[], kind: O['kind']): O[] => objects.filter((object) => object.kind === kind) as O[];

/** `Deployment ztna/app-connector`, for messages. */
export const called = ({ kind, metadata: { namespace, name } }: KubernetesObject): string => `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;

/** The one object of that kind and place. @throws Error when there is none */
export const find = <O extends KubernetesObject>(objects: readonly KubernetesObject[], kind: O['kind'], namespace: string, name: string): O => {
  const found = ofKind<O>(objects, kind).find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
  if (!found) throw new Error(`no ${kind} ${namespace}/${name} among ${objects.map(called).join(', ')}`);
  return found;
};
