/** Times in messages of strangers: whoever stores or prints one later must not trip over it. */
import { isMessage } from '@bufbuild/protobuf';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';

/** 0001-01-01T00:00:00Z, in seconds since the epoch. */
const FIRST_SECOND = -62_135_596_800n;
/** 9999-12-31T23:59:59Z, in seconds since the epoch. */
const LAST_SECOND = 253_402_300_799n;

/** True when every Timestamp in it is within the range that google/protobuf/timestamp.proto allows; decoders do not look. */
export function hasValidTimes(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return true;
  if (isMessage(value, TimestampSchema)) {
    const { seconds, nanos } = value;
    return seconds >= FIRST_SECOND && seconds <= LAST_SECOND && nanos >= 0 && nanos <= 999_999_999;
  }
  return Object.values(value).every(hasValidTimes);
}
