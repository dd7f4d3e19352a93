/** How a container of a static pod comes to see a folder of the host. */
import { AppError } from '../../common/errors/app-error.ts';
import { mountsOf } from '../detect/pod.ts';
import type { YamlEdit } from './edit-yaml.ts';
import type { EditedContainer } from './rewrite-manifest.ts';

/** Name of our volume; further ones get a number. */
const volumeName = 'kube-mtls';

/**
 * The edits that let the container see the folder under its own path; none when it does already.
 *
 * @param index which of our volumes it would be, from 0
 * @throws AppError invalid-request when the path or the volume's name is somebody else's
 */
export function mountEdits({ manifest, container, path }: EditedContainer, folder: string, index: number): YamlEdit[] {
  const name = index === 0 ? volumeName : `${volumeName}-${index + 1}`;
  // of mounts within each other the innermost counts
  const [covering] = mountsOf(manifest, container)
    .filter((mount) => `${folder}/`.startsWith(mount.path === '/' ? '/' : `${mount.path}/`))
    .sort((one, other) => other.path.length - one.path.length);
  if (covering !== undefined) {
    if (covering.hostPath === covering.path) return [];
    throw new AppError(
      'invalid-request',
      `${covering.path} in the container comes from elsewhere and hides ${folder}: mount it at another path`,
    );
  }
  const volume = manifest.pod.spec.volumes?.find((each) => each.name === name);
  const isForeign = volume !== undefined && volume.hostPath?.path.replace(/\/$/, '') !== folder;
  if (isForeign || container.volumeMounts?.some((mount) => mount.name === name) === true) {
    throw new AppError('invalid-request', `the pod has a volume ${name} that is not ours: give it another name`);
  }
  const mounted: YamlEdit = {
    kind: 'append',
    path: [...path, 'volumeMounts'],
    item: { mountPath: folder, name, readOnly: true },
  };
  if (volume !== undefined) return [mounted];
  // stage makes the folder before the manifest is written; of another type kubelet would make an empty one
  const item = { hostPath: { path: folder, type: 'Directory' }, name };
  return [mounted, { kind: 'append', path: ['spec', 'volumes'], item }];
}
