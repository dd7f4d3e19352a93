/** A program as a systemd unit of a test host. */
import type { Host } from './host.ts';

/** Writes the unit, in which systemd starts the program again whenever it ends, and starts it. */
export async function startUnit(host: Host, name: string, command: string): Promise<void> {
  await host.write(
    `/etc/systemd/system/${name}.service`,
    `[Unit]\nDescription=${name}\n[Service]\nExecStart=${command}\nRestart=always\nRestartSec=2\n[Install]\nWantedBy=multi-user.target\n`,
  );
  await host.sh(`systemctl daemon-reload; systemctl enable -q --now ${name}`);
}
