/** The change with the places filled in that only its new certificates, and its identifier, can fill. */
import type { Change, ComponentChange, FileChange } from '../plan/change.ts';
import { fillPlaceholders, hasPlaceholders } from '../plan/placeholders.ts';
import type { SignedChange } from '../sign/signed-change.ts';
import { versionFiles } from './version-folder.ts';

/**
 * The change as it is written to disk.
 *
 * @throws AppError 'internal' for a place that nothing of the component's new version fills
 */
export function fillChange(signed: SignedChange): Change {
  const components = signed.change.components.map((component) => ({
    ...component,
    files: component.files.map((file) => fillFile(signed, component, file)),
  }));
  return { ...signed.change, components };
}

function fillFile(signed: SignedChange, component: ComponentChange, file: FileChange): FileChange {
  if (!hasPlaceholders(file.after.text)) return file;
  const contents = new Map(versionFiles(signed, component).map(({ name, content }) => [name, content]));
  const text = fillPlaceholders(file.after.text, signed.change.changeId, contents);
  return { ...file, after: { ...file.after, text } };
}
