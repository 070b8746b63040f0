import { join } from 'node:path';
import { Payload } from '../payload.ts';
import { dockerfileBuild } from '../stand.ts';
import { Registry } from '../registry.ts';
import type { Row } from '../row.ts';

const FILES = 64;
const SIZE = 16 << 20;

export const image: Row = {
  name: 'image',
  work: 'exports of an image of 1 GB that is built already',
  rounds: 3,
  needs: ['docker-registry', 'pigz', 'curl'],
  figures: [
    { name: 'oci archive, gzip', limit: 'tar through `pigz -p2`' },
    { name: 'docker archive of kept blobs', limit: '`cp` of the archive' },
    { name: 'plain folder', limit: '`cp -a`' },
    { name: 'push', limit: 'tar through `pigz -p2`, then curl' },
    { name: 'push again', limit: 'curl asks for one manifest' },
  ],
  async prepare(stand) {
    const folder = stand.path('image');
    new Payload(2).writeFiles(join(folder, 'files'), stand.scaled(FILES), SIZE);
    const dest = stand.path('image.out');
    // Every round has a layer that was never compressed: its first file is new.
    const build = (mark: string): string[] => {
      stand.context('image', { Dockerfile: 'FROM scratch\nCOPY . /\n', mark });
      return dockerfileBuild(folder);
    };
    return {
      async measure(builder, round) {
        await using registry = await Registry.start(stand.path(`registry-${builder.programs.name}${round}`));
        const name = `${registry.host}/image:latest`;
        const push = ['--output', `type=image,name=${name},push=true,registry.insecure=true`];
        const first = build(`archive ${round}`);
        await builder.build(first);
        const oci = await builder.build([...first, '--output', `type=oci,dest=${dest}`]);
        const docker = await builder.build([...first, '--output', `type=docker,dest=${dest}`]);
        const plain = await builder.build([...first, '--output', `type=local,dest=${dest}.folder`]);
        await stand.shell(`rm -rf '${dest}' '${dest}.folder'`);
        const second = build(`push ${round}`);
        await builder.build(second);
        const pushed = await builder.build([...second, ...push]);
        const again = await builder.build([...second, ...push]);
        return {
          'oci archive, gzip': oci,
          'docker archive of kept blobs': docker,
          'plain folder': plain,
          push: pushed,
          'push again': again,
        };
      },
      async limit(round) {
        await using registry = await Registry.start(stand.path(`registry-limit${round}`));
        const layer = stand.path('limit.tgz');
        const oci = await stand.shell(`tar -cf - -C '${folder}' . | pigz -p2 > '${layer}'`);
        const docker = await stand.shell(`cp '${layer}' '${layer}.copy'`);
        const plain = await stand.shell(`cp -a '${folder}' '${dest}.folder'; rm '${layer}.copy'`);
        const pushed = oci + (await stand.shell(registry.curlPush(layer)));
        const again = await stand.shell(`curl -s -o /dev/null http://${registry.host}/v2/image/manifests/latest`);
        await stand.shell(`rm -rf '${layer}' '${dest}.folder'`);
        return {
          'oci archive, gzip': oci,
          'docker archive of kept blobs': docker,
          'plain folder': plain,
          push: pushed,
          'push again': again,
        };
      },
    };
  },
};
