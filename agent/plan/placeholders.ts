/**
 * Places in the text of a file that only staging can fill: keys are made after the plan, and a plan that names them would be
 * another plan every time.
 */
import { AppError } from '../../common/errors/app-error.ts';

/** Stands for the identifier of the change. */
export const CHANGE_ID = '@kube-mtls:change-id@';

/**
 * Stands for a file of the component's new version, in base64 as kubeconfigs embed them.
 *
 * @param name "admin.crt"
 */
export function embedded(name: string): string {
  return `@kube-mtls:base64:${name}@`;
}

/** True when the text holds a place to be filled. */
export function hasPlaceholders(text: string): boolean {
  return text.includes('@kube-mtls:');
}

/** True for a value, with or without quotes, that is nothing but a place for a file. */
export function isPlaceholder(value: string): boolean {
  return /^"?@kube-mtls:base64:[^@"]+@"?$/.test(value);
}

/** The text with every place as a person reads it: "<new key, embedded>", and the change by its identifier. */
export function describePlaceholders(text: string, changeId: string): string {
  return text
    .replaceAll(CHANGE_ID, () => changeId)
    .replaceAll(/"?@kube-mtls:base64:([^@]+)@"?/g, (_, name: string) => `<new ${kindOf(name)}, embedded>`);
}

/**
 * The text with every place filled.
 *
 * @param files contents of the component's new version by name
 * @throws AppError 'internal' for a place that nothing is known for
 */
export function fillPlaceholders(text: string, changeId: string, files: ReadonlyMap<string, string>): string {
  return text.replaceAll(/@kube-mtls:(?:(change-id)|base64:([^@]+))@/g, (_, isId: string | undefined, name: string) => {
    if (isId !== undefined) return changeId;
    const content = files.get(name);
    if (content === undefined) throw new AppError('internal', `the version of ${changeId} holds no ${name} to embed`);
    return Buffer.from(content).toString('base64');
  });
}

function kindOf(name: string): string {
  if (name.endsWith('-ca.crt')) return 'roots';
  return name.endsWith('.key') ? 'key' : 'certificate';
}
