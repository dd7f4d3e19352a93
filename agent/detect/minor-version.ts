/** Which Kubernetes a version is of. */

/** N of "1.N.x", with or without a v in front; undefined for another major version, and for what is none. */
export function minorOf(version: string): number | undefined {
  const [, minor] = /^v?1\.(\d+)(?:\.|$)/.exec(version) ?? [];
  return minor === undefined ? undefined : Number(minor);
}
