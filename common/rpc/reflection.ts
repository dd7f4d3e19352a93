/** Server reflection, v1 and v1alpha, so that grpcurl and buf curl need no .proto file. */
import { type DescFile, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';

/**
 * Adds reflection.
 *
 * @param services - full names of the services to list
 * @param files - descriptors of the files that hold them; what they import is found from there
 */
export function addReflection(server: Server, services: readonly string[], files: readonly DescFile[]): void {
  const known = new Map<string, DescFile>();
  for (const file of files) collect(file, known);
  const fileDescriptorProtos = [...known.values()].map((file) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)),
  );
  // Of a definition only fileDescriptorProtos is read (@grpc/reflection 1.0.4); the format is there for the compiler.
  const root = { all: { format: 'Protocol Buffer 3 EnumDescriptorProto' as const, type: {}, fileDescriptorProtos } };
  new ReflectionService(root, { services: [...services] }).addToServer(server);
}

function collect(file: DescFile, known: Map<string, DescFile>): void {
  if (known.has(file.name)) return;
  known.set(file.name, file);
  for (const imported of file.dependencies) collect(imported, known);
}
