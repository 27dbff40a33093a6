/** Octets of the longest serial number (RFC 5280 §4.1.2.2). */
const SERIAL_BYTES = 20;
const WORDS = SERIAL_BYTES / 4;
/** Serials of a chunk: what is held grows by one chunk at a time, never by doubling. */
const CHUNK = 32_768;
const FIRST_SLOTS = 1_024;
/** Of the slots that are used, deleted ones included, before there are twice as many. */
const MAX_LOAD = 0.7;
const EMPTY = 0;
const DELETED = 0xffff_ffff;

/**
 * Serial numbers with a small number (1 to 255) for each, whole and exact, at about 30 octets each: a million takes 30 MB, where a Map of strings takes 160. Serials are
 * compared as numbers: leading zeros say nothing.
 */
export interface SerialSet {
  /** At most 20 octets. @throws RangeError for a longer serial */
  set(serial: Uint8Array, value: number): void;
  /** 0: not there. Of a serial that is longer than one can be as well. */
  get(serial: Uint8Array): number;
  delete(serial: Uint8Array): void;
  /** Takes out whatever `isToGo` says; it is shown the 20 octets of each serial, for as long as the call lasts. */
  deleteWhere(isToGo: (serial: Uint8Array) => boolean): void;
  readonly size: number;
}

interface Chunk {
  bytes: Uint8Array;
  words: Uint32Array;
  values: Uint8Array;
}

/** Serials need not be random (those of other issuers count up): all octets are mixed. */
function hash(words: Uint32Array, at: number): number {
  let mixed = 0;
  for (let i = 0; i < WORDS; i++) {
    mixed = Math.imul(mixed ^ (words[at + i] ?? 0), 0x85eb_ca6b);
    mixed ^= mixed >>> 15;
  }
  mixed = Math.imul(mixed, 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** Where the octets lie: places are numbers, used again once they are free. */
function createPlaces() {
  const chunks: Chunk[] = [];
  const free: number[] = [];
  let used = 0;
  const chunkOf = (place: number): Chunk => {
    const number = Math.floor(place / CHUNK);
    const known = chunks[number];
    if (known) return known;
    const bytes = new Uint8Array(CHUNK * SERIAL_BYTES);
    return (chunks[number] = { bytes, words: new Uint32Array(bytes.buffer), values: new Uint8Array(CHUNK) });
  };
  return {
    take(serial: Uint8Array, value: number): number {
      const place = free.pop() ?? used++;
      const { bytes, values } = chunkOf(place);
      bytes.set(serial, (place % CHUNK) * SERIAL_BYTES);
      values[place % CHUNK] = value;
      return place;
    },
    give: (place: number) => void free.push(place),
    bytesAt: (place: number): Uint8Array => chunkOf(place).bytes.subarray((place % CHUNK) * SERIAL_BYTES, ((place % CHUNK) + 1) * SERIAL_BYTES),
    hashAt: (place: number): number => hash(chunkOf(place).words, (place % CHUNK) * WORDS),
    holds(place: number, wanted: Uint32Array): boolean {
      const { words } = chunkOf(place);
      const at = (place % CHUNK) * WORDS;
      for (let i = 0; i < WORDS; i++) if (words[at + i] !== wanted[i]) return false;
      return true;
    },
    valueAt: (place: number): number => chunkOf(place).values[place % CHUNK] ?? 0,
    setValue(place: number, value: number): void {
      chunkOf(place).values[place % CHUNK] = value;
    },
  };
}

/** An open-addressed index (linear probing) of 32-bit numbers over the places of the octets. */
export function createSerialSet(): SerialSet {
  const places = createPlaces();
  let size = 0;
  /** Place + 1, EMPTY or DELETED. */
  let slots = new Uint32Array(FIRST_SLOTS);
  let deleted = 0;
  const wanted = new Uint8Array(SERIAL_BYTES);
  const wantedWords = new Uint32Array(wanted.buffer);

  /** Puts a serial into `wanted`, at its full length. False: no serial is so long. */
  function load(serial: Uint8Array): boolean {
    let from = 0;
    while (serial.length - from > SERIAL_BYTES && serial[from] === 0) from++;
    if (serial.length - from > SERIAL_BYTES) return false;
    wanted.fill(0);
    wanted.set(from === 0 ? serial : serial.subarray(from), SERIAL_BYTES - serial.length + from);
    return true;
  }

  /** The slot of what is in `wanted`; -1 when it is not there. */
  function find(): number {
    const mask = slots.length - 1;
    for (let slot = hash(wantedWords, 0) & mask; ; slot = (slot + 1) & mask) {
      const held = slots[slot] ?? EMPTY;
      if (held === EMPTY) return -1;
      if (held !== DELETED && places.holds(held - 1, wantedWords)) return slot;
    }
  }

  const placeIn = (slot: number): number => (slots[slot] ?? 1) - 1;

  function index(place: number): void {
    const mask = slots.length - 1;
    let slot = places.hashAt(place) & mask;
    while (slots[slot] !== EMPTY && slots[slot] !== DELETED) slot = (slot + 1) & mask;
    if (slots[slot] === DELETED) deleted--;
    slots[slot] = place + 1;
  }

  /** Begins a new index: larger, or only without what was deleted. */
  function rebuild(): void {
    const old = slots;
    slots = new Uint32Array(size / MAX_LOAD > old.length / 2 ? old.length * 2 : old.length);
    deleted = 0;
    for (const held of old) if (held !== EMPTY && held !== DELETED) index(held - 1);
  }

  function remove(slot: number): void {
    places.give(placeIn(slot));
    slots[slot] = DELETED;
    deleted++;
    size--;
  }

  return {
    set(serial, value) {
      if (!load(serial)) throw new RangeError('a serial number has at most 20 octets');
      const slot = find();
      if (slot >= 0) {
        places.setValue(placeIn(slot), value);
        return;
      }
      if (size + deleted >= slots.length * MAX_LOAD) rebuild();
      index(places.take(wanted, value));
      size++;
    },
    get(serial) {
      const slot = load(serial) ? find() : -1;
      return slot < 0 ? 0 : places.valueAt(placeIn(slot));
    },
    delete(serial) {
      const slot = load(serial) ? find() : -1;
      if (slot >= 0) remove(slot);
    },
    deleteWhere(isToGo) {
      for (let slot = 0; slot < slots.length; slot++) {
        const held = slots[slot] ?? EMPTY;
        if (held !== EMPTY && held !== DELETED && isToGo(places.bytesAt(held - 1))) remove(slot);
      }
    },
    get size() {
      return size;
    },
  };
}
