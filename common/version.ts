/** The version of both sides, as package.json has it. */
import packageJson from '../package.json' with { type: 'json' };

/** Semantic version, "0.1.0". */
export const version: string = packageJson.version;
