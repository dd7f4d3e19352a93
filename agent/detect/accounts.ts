/** Users and groups of the node, read from /etc/passwd and /etc/group below the layout's root. */
import type { Layout } from '../layout.ts';
import { NotUnderstood, type Place } from './not-understood.ts';
import { below, readSource } from './source-file.ts';

/** Numbers that a process runs with. */
export interface Account {
  uid: number;
  gid: number;
}

/**
 * Numbers of a service's user and group.
 *
 * @param user - name or number, '' is root
 * @param group - name or number, '' is the user's own
 * @param place - where the unit names them
 * @throws NotUnderstood when either is in no file (a dynamic user, a directory service): keys could not be given to it
 */
export async function findAccount(layout: Layout, user: string, group: string, place: Place): Promise<Account> {
  const owner = user === '' || user === 'root' ? { uid: 0, gid: 0 } : await findUser(layout, user, place);
  return group === '' ? owner : { ...owner, gid: await findGroup(layout, group, place) };
}

/** Name of a user by its number, or the number itself where /etc/passwd has none: a container may run as anybody. */
export async function userName(layout: Layout, uid: number): Promise<string> {
  const rows = await rowsOf(layout, '/etc/passwd');
  return rows.find((fields) => fields[2] === String(uid))?.[0] ?? String(uid);
}

async function findUser(layout: Layout, user: string, place: Place): Promise<Account> {
  const rows = await rowsOf(layout, '/etc/passwd');
  const row = rows.find((fields) => fields[0] === user) ?? rows.find((fields) => fields[2] === user);
  const [uid, gid] = [numberOf(row?.[2]), numberOf(row?.[3])];
  if (uid !== undefined && gid !== undefined) return { uid, gid };
  throw new NotUnderstood(`the user ${user} is not in /etc/passwd: add it, or set User= to one that is`, place);
}

async function findGroup(layout: Layout, group: string, place: Place): Promise<number> {
  const rows = await rowsOf(layout, '/etc/group');
  const row = rows.find((fields) => fields[0] === group) ?? rows.find((fields) => fields[2] === group);
  const gid = numberOf(row?.[2]);
  if (gid !== undefined) return gid;
  throw new NotUnderstood(`the group ${group} is not in /etc/group: add it, or set Group= to one that is`, place);
}

async function rowsOf(layout: Layout, path: string): Promise<string[][]> {
  const { text } = await readSource(below(layout, path));
  return text.split('\n').map((line) => line.split(':'));
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
