/**
 * Golden vectors: the exact bytes of messages with fixed field values. A change here is a change of
 * the protocol and, once the version is released, needs a new one, but where the protocol leaves
 * the encoder a choice. In each hex list the first line is the message's checksum, the second the
 * rest of the header, the others the msgpack body. Payloads follow the body and are described, not
 * spelled out.
 */
import type { Body, MessageType } from '../../proto/messages.ts'

export interface Vector {
  readonly name: string
  readonly type: MessageType
  readonly body: Readonly<Record<string, unknown>>
  readonly payload: Buffer
  readonly bytes: Buffer
}

const VECTOR_PAGE_BYTES = 512

function vector(
  name: string,
  type: MessageType,
  body: Readonly<Record<string, unknown>>,
  payload: Buffer,
  hex: readonly string[],
): Vector {
  return {
    name,
    type,
    body,
    payload,
    bytes: Buffer.concat([Buffer.from(hex.join(''), 'hex'), payload]),
  }
}

function plain<T extends MessageType>(
  name: string,
  type: T,
  body: Body<T>,
  hex: readonly string[],
): Vector {
  return vector(name, type, body, Buffer.alloc(0), hex)
}

/** `pages` lists page numbers and the byte that fills each image. */
function withPages<T extends 'batch' | 'pages' | 'synced'>(
  name: string,
  type: T,
  body: Body<T>,
  pages: readonly (readonly [number, number])[],
  hex: readonly string[],
): Vector {
  const numbers = pages.map(([page]) => Buffer.from(Uint32Array.of(page).buffer))
  const images = pages.map(([, fill]) => Buffer.alloc(VECTOR_PAGE_BYTES, fill))
  return vector(name, type, body, Buffer.concat([...numbers, ...images]), hex)
}

/**
 * `sums` are page checksums as hex digits, most significant first; the payload holds them
 * little-endian.
 */
function withSums<T extends 'have' | 'groups'>(
  name: string,
  type: T,
  body: Body<T>,
  sums: readonly string[],
  hex: readonly string[],
): Vector {
  return vector(
    name,
    type,
    body,
    Buffer.concat(sums.map((sum) => Buffer.from(sum, 'hex').reverse())),
    hex,
  )
}

function withGroups(
  name: string,
  body: Body<'differ'>,
  groups: readonly number[],
  hex: readonly string[],
): Vector {
  const payload = Buffer.concat(groups.map((group) => Buffer.from(Uint32Array.of(group).buffer)))
  return vector(name, 'differ', body, payload, hex)
}

export const VECTORS: readonly Vector[] = [
  plain(
    'hello, first contact',
    'hello',
    {
      db: 'app',
      node: 'r1',
      cluster: '',
      instance: '0f1e2d3c4b5a6978',
      upMs: 0,
      epoch: 0,
      txid: 0,
      history: '',
      highestEpoch: 0,
      term: 0,
      leader: '',
      checksum: '',
      pageSize: 0,
      pages: 0,
      version: '0.1.0',
      advertise: '',
      lagMs: 0,
    },
    [
      '90d64f600a0374a8',
      '5743415301010000000000a800000000',
      'de0011a26462a3617070a46e6f6465a27231a7636c7573746572a0a8696e7374616e6365b030663165326433',
      '633462356136393738a475704d7300a565706f636800a47478696400a7686973746f7279a0ac686967686573',
      '7445706f636800a47465726d00a66c6561646572a0a8636865636b73756da0a87061676553697a6500a57061',
      '67657300a776657273696f6ea5302e312e30a9616476657274697365a0a56c61674d7300',
    ],
  ),
  plain(
    'hello, with a copy',
    'hello',
    {
      db: 'app',
      node: 'r1',
      cluster: 'c-7f',
      instance: '0f1e2d3c4b5a6978',
      upMs: 1500.5,
      epoch: 3,
      txid: 4294967296,
      history: '00000000000000a3@4294967296 ffeeddccbbaa9988@70000',
      highestEpoch: 4,
      term: 2,
      leader: 'n2',
      checksum: '0123456789abcdef',
      pageSize: 65536,
      pages: 4294967294,
      version: '0.1.0',
      advertise: '10.0.0.2:9080',
      lagMs: 0.25,
    },
    [
      'd2f8d7b6276ca2cc',
      '57434153010100000000011e00000000',
      'de0011a26462a3617070a46e6f6465a27231a7636c7573746572a4632d3766a8696e7374616e6365b0306631',
      '65326433633462356136393738a475704d73cb4097720000000000a565706f636803a474786964cb41f00000',
      '00000000a7686973746f7279d932303030303030303030303030303061334034323934393637323936206666',
      '6565646463636262616139393838403730303030ac6869676865737445706f636804a47465726d02a66c6561',
      '646572a26e32a8636865636b73756db030313233343536373839616263646566a87061676553697a65ce0001',
      '0000a57061676573cefffffffea776657273696f6ea5302e312e30a9616476657274697365ad31302e302e30',
      '2e323a39303830a56c61674d73cb3fd0000000000000',
    ],
  ),
  plain(
    'welcome, resume',
    'welcome',
    {
      db: 'app',
      node: 'l1',
      cluster: 'c-7f',
      instance: 'f0e1d2c3b4a59687',
      epoch: 3,
      incarnation: '00000000000000a3',
      term: 3,
      txid: 281474976710656,
      checksum: 'fedcba9876543210',
      pageSize: 4096,
      pages: 70000,
      version: '0.1.0',
      mode: 'resume',
      reason: '',
      contains: 'proven',
      source: 'l1',
      sourceAddress: '10.0.0.1:9080',
      fileMode: 0o600,
      heartbeatMs: 1000,
    },
    [
      'a74e311f798d1183',
      '57434153010200000000011500000000',
      'de0013a26462a3617070a46e6f6465a26c31a7636c7573746572a4632d3766a8696e7374616e6365b0663065',
      '31643263336234613539363837a565706f636803ab696e6361726e6174696f6eb03030303030303030303030',
      '3030306133a47465726d03a474786964cb42f0000000000000a8636865636b73756db0666564636261393837',
      '36353433323130a87061676553697a65cd1000a57061676573ce00011170a776657273696f6ea5302e312e30',
      'a46d6f6465a6726573756d65a6726561736f6ea0a8636f6e7461696e73a670726f76656ea6736f75726365a2',
      '6c31ad736f7572636541646472657373ad31302e302e302e313a39303830a866696c654d6f6465cd0180ab68',
      '65617274626561744d73cd03e8',
    ],
  ),
  plain(
    'welcome, sync',
    'welcome',
    {
      db: 'app',
      node: 'l1',
      cluster: 'c-7f',
      instance: 'f0e1d2c3b4a59687',
      epoch: 1,
      incarnation: 'ffeeddccbbaa9988',
      term: 3,
      txid: 127,
      checksum: '00000000000000ff',
      pageSize: 512,
      pages: 128,
      version: '0.1.0',
      mode: 'sync',
      reason: 'première copie',
      contains: 'unknown',
      source: 'l0',
      sourceAddress: '',
      fileMode: 0o777,
      heartbeatMs: 250.5,
    },
    [
      'cd025dc523849dca',
      '57434153010200000000011100000000',
      'de0013a26462a3617070a46e6f6465a26c31a7636c7573746572a4632d3766a8696e7374616e6365b0663065',
      '31643263336234613539363837a565706f636801ab696e6361726e6174696f6eb06666656564646363626261',
      '6139393838a47465726d03a4747869647fa8636865636b73756db030303030303030303030303030306666a8',
      '7061676553697a65cd0200a57061676573cc80a776657273696f6ea5302e312e30a46d6f6465a473796e63a6',
      '726561736f6eaf7072656d69c3a8726520636f706965a8636f6e7461696e73a7756e6b6e6f776ea6736f7572',
      '6365a26c30ad736f7572636541646472657373a0a866696c654d6f6465cd01ffab6865617274626561744d73',
      'cb406f500000000000',
    ],
  ),
  withPages(
    'batch, whole',
    'batch',
    {
      db: 'app',
      epoch: 3,
      fromTxid: 255,
      txid: 256,
      chunk: 0,
      last: true,
      pageSize: 512,
      pages: 2,
      dbPages: 7,
      checksum: '89abcdef01234567',
      noticeMs: 1700000000000.125,
      noticedMs: 1700000000000.25,
      sentMs: 1700000000000.5,
    },
    [
      [1, 0xa1],
      [7, 0xb2],
    ],
    [
      '64d1e52a91af7515',
      '5743415301030000000000cd00000408',
      '8da26462a3617070a565706f6368cb4008000000000000a866726f6d54786964cb406fe00000000000a47478',
      '6964cb4070000000000000a56368756e6bcb0000000000000000a46c617374c3a87061676553697a65cb4080',
      '000000000000a57061676573cb4000000000000000a764625061676573cb401c000000000000a8636865636b',
      '73756db038396162636465663031323334353637a86e6f746963654d73cb4278bcfe56800200a96e6f746963',
      '65644d73cb4278bcfe56800400a673656e744d73cb4278bcfe56800800',
    ],
  ),
  withPages(
    'batch, chunk of a transaction',
    'batch',
    {
      db: 'app',
      epoch: 3,
      fromTxid: 65535,
      txid: 65536,
      chunk: 4,
      last: false,
      pageSize: 512,
      pages: 1,
      dbPages: 0,
      checksum: '',
      noticeMs: 1.5,
      noticedMs: 1.5,
      sentMs: 2.5,
    },
    [[4294967294, 0xc3]],
    [
      '92ee8f4939e3e701',
      '57434153010300000000008d00000204',
      '8da26462a3617070a565706f636803a866726f6d54786964cdffffa474786964ce00010000a56368756e6b04',
      'a46c617374c2a87061676553697a65cd0200a5706167657301a76462506167657300a8636865636b73756da0',
      'a86e6f746963654d73cb3ff8000000000000a96e6f74696365644d73cb3ff8000000000000a673656e744d73',
      'cb4004000000000000',
    ],
  ),
  withSums(
    'have',
    'have',
    { db: 'app', firstPage: 65537, sums: 2, last: true },
    ['0102030405060708', 'ffeeddccbbaa9988'],
    [
      'a0321824bd28ff87',
      '57434153010400000000002300000010',
      '84a26462a3617070a9666972737450616765ce00010001a473756d7302a46c617374c3',
    ],
  ),
  withSums(
    'have, nothing yet',
    'have',
    { db: 'app', firstPage: 1, sums: 0, last: true },
    [],
    [
      '2ac9b00a01441bce',
      '57434153010400000000001f00000000',
      '84a26462a3617070a966697273745061676501a473756d7300a46c617374c3',
    ],
  ),
  withSums(
    'groups',
    'groups',
    { db: 'app', pages: 70000, firstGroup: 300, sums: 2, last: true },
    ['0102030405060708', 'ffeeddccbbaa9988'],
    [
      '990b1c700319308f',
      '57434153010e00000000002d00000010',
      '85a26462a3617070a57061676573ce00011170aa666972737447726f7570cd012ca473756d7302a46c617374',
      'c3',
    ],
  ),
  withGroups(
    'differ',
    { db: 'app', groups: 2, last: false },
    [3, 546],
    [
      '6c327056e9a79be9',
      '57434153010f00000000001600000008',
      '83a26462a3617070a667726f75707302a46c617374c2',
    ],
  ),
  plain(
    'below',
    'below',
    {
      db: 'app',
      node: 'r7',
      instance: '0f1e2d3c4b5a6978',
      upMs: 4500,
      via: 'r1',
      address: '10.0.0.7:9080',
      epoch: 3,
      txid: 256,
      lagMs: 1.75,
      connected: true,
      silentMs: 30,
    },
    [
      '053ade5ceeb980c5',
      '57434153011000000000008200000000',
      '8ba26462a3617070a46e6f6465a27237a8696e7374616e6365b030663165326433633462356136393738a475',
      '704d73cd1194a3766961a27231a761646472657373ad31302e302e302e373a39303830a565706f636803a474',
      '786964cd0100a56c61674d73cb3ffc000000000000a9636f6e6e6563746564c3a873696c656e744d731e',
    ],
  ),
  plain(
    'twin',
    'twin',
    { db: 'app', node: 'r7', instance: '0f1e2d3c4b5a6978', address: '10.0.0.7:9080' },
    [
      '2b1b01a0ab5dc622',
      '57434153011600000000004000000000',
      '84a26462a3617070a46e6f6465a27237a8696e7374616e6365b030663165326433633462356136393738a761',
      '646472657373ad31302e302e302e373a39303830',
    ],
  ),
  plain('ask', 'ask', { db: 'app', txid: 70000, durable: true }, [
    '698c64e64ebdcd73',
    '57434153011100000000001b00000000',
    '83a26462a3617070a474786964ce00011170a764757261626c65c3',
  ]),
  plain(
    'incarnation',
    'incarnation',
    {
      db: 'app',
      id: '00000000000000a4',
      epoch: 4,
      after: '00000000000000a3',
      afterEpoch: 3,
      txid: 70000,
      leader: 'r7',
      exact: true,
    },
    [
      '5ec7105946823dea',
      '57434153011200000000006100000000',
      '88a26462a3617070a26964b030303030303030303030303030306134a565706f636804a56166746572b03030',
      '3030303030303030303030306133aa616674657245706f636803a474786964ce00011170a66c6561646572a2',
      '7237a56578616374c3',
    ],
  ),
  plain(
    'incarnation, of which nothing before is known',
    'incarnation',
    {
      db: 'app',
      id: 'ffeeddccbbaa9988',
      epoch: 1,
      after: '',
      afterEpoch: 0,
      txid: 0,
      leader: 'l1',
      exact: false,
    },
    [
      '0c4e0cb447f2888c',
      '57434153011200000000004d00000000',
      '88a26462a3617070a26964b066666565646463636262616139393838a565706f636801a56166746572a0aa61',
      '6674657245706f636800a47478696400a66c6561646572a26c31a56578616374c2',
    ],
  ),
  plain(
    'seen',
    'seen',
    {
      db: 'app',
      node: 'r7',
      epoch: 3,
      txid: 70000,
      history: '00000000000000a3@70000',
      highestEpoch: 4,
      term: 3,
      leader: 'l1',
    },
    [
      '4c69aa0997b98708',
      '57434153011500000000005e00000000',
      '88a26462a3617070a46e6f6465a27237a565706f636803a474786964ce00011170a7686973746f7279b63030',
      '3030303030303030303030306133403730303030ac6869676865737445706f636804a47465726d03a66c6561',
      '646572a26c31',
    ],
  ),
  plain('member', 'member', { db: 'app', node: 'r7', address: '10.0.0.7:9080', gone: false }, [
    '88a7be7efd9b8214',
    '57434153011300000000002c00000000',
    '84a26462a3617070a46e6f6465a27237a761646472657373ad31302e302e302e373a39303830a4676f6e65c2',
  ]),
  plain('moved', 'moved', { db: 'app', epoch: 4, node: 'r7', address: '10.0.0.7:9080' }, [
    'd8aecc7cfe4220bf',
    '57434153011400000000002d00000000',
    '84a26462a3617070a565706f636804a46e6f6465a27237a761646472657373ad31302e302e302e373a393038',
    '30',
  ]),
  withPages(
    'pages',
    'pages',
    { db: 'app', epoch: 3, pageSize: 512, pages: 1, pass: 2, remaining: 300, dbPages: 400 },
    [[5, 0xd4]],
    [
      '15484df54370fd1b',
      '57434153010500000000004000000204',
      '87a26462a3617070a565706f636803a87061676553697a65cd0200a5706167657301a47061737302a972656d',
      '61696e696e67cd012ca764625061676573cd0190',
    ],
  ),
  withPages(
    'synced',
    'synced',
    {
      db: 'app',
      epoch: 3,
      incarnation: '00000000000000a3',
      txid: 300,
      checksum: '0011223344556677',
      pageSize: 512,
      pages: 1,
      dbPages: 400,
    },
    [[400, 0xe5]],
    [
      'f75e4472368de109',
      '57434153010600000000006c00000204',
      '88a26462a3617070a565706f636803ab696e6361726e6174696f6eb030303030303030303030303030306133',
      'a474786964cd012ca8636865636b73756db030303131323233333434353536363737a87061676553697a65cd',
      '0200a5706167657301a764625061676573cd0190',
    ],
  ),
  withPages(
    'synced, nothing left',
    'synced',
    {
      db: 'app',
      epoch: 3,
      incarnation: '00000000000000a3',
      txid: 300,
      checksum: '0011223344556677',
      pageSize: 512,
      pages: 0,
      dbPages: 400,
    },
    [],
    [
      '0b2fc5162cfc5be8',
      '57434153010600000000006c00000000',
      '88a26462a3617070a565706f636803ab696e6361726e6174696f6eb030303030303030303030303030306133',
      'a474786964cd012ca8636865636b73756db030303131323233333434353536363737a87061676553697a65cd',
      '0200a5706167657300a764625061676573cd0190',
    ],
  ),
  plain(
    'resync',
    'resync',
    { db: 'app', epoch: 3, pages: 400, reason: 'history does not reach back far enough' },
    [
      'c0a4108c721ded79',
      '57434153010700000000004700000000',
      '84a26462a3617070a565706f636803a57061676573cd0190a6726561736f6ed926686973746f727920646f65',
      '73206e6f74207265616368206261636b2066617220656e6f756768',
    ],
  ),
  plain(
    'ack',
    'ack',
    { db: 'app', epoch: 3, txid: 256, checksum: '0123456789abcdef', durableTxid: 255, lagMs: 1.75 },
    [
      'b420a3482e5d56cb',
      '57434153010800000000004e00000000',
      '86a26462a3617070a565706f636803a474786964cd0100a8636865636b73756db03031323334353637383961',
      '6263646566ab64757261626c6554786964ccffa56c61674d73cb3ffc000000000000',
    ],
  ),
  plain(
    'heartbeat',
    'heartbeat',
    { db: 'app', epoch: 3, txid: 256, walBytes: 41200000, timeMs: 1700000000123.5, staleMs: 12.25 },
    [
      'ad4db5d6a6e4027f',
      '57434153010900000000004600000000',
      '86a26462a3617070a565706f636803a474786964cd0100a877616c4279746573ce0274a980a674696d654d73',
      'cb4278bcfe5687b800a77374616c654d73cb4028800000000000',
    ],
  ),
  plain('ping', 'ping', { db: 'app', timeMs: 1700000000124 }, [
    'a35816945cd1f73a',
    '57434153010a00000000001800000000',
    '82a26462a3617070a674696d654d73cb4278bcfe5687c000',
  ]),
  plain('pong', 'pong', { db: 'app', pingMs: 1700000000124, timeMs: 1700000000124.75 }, [
    'b126666a1c4d69ad',
    '57434153010b00000000002800000000',
    '83a26462a3617070a670696e674d73cb4278bcfe5687c000a674696d654d73cb4278bcfe5687cc00',
  ]),
  plain(
    'error',
    'error',
    {
      db: 'app',
      code: 'WRONG_CLUSTER',
      message: 'this copy belongs to cluster a, the leader to b',
    },
    [
      '096ec83cafa9bac2',
      '57434153010c00000000005400000000',
      '83a26462a3617070a4636f6465ad57524f4e475f434c5553544552a76d657373616765d92f7468697320636f',
      '70792062656c6f6e677320746f20636c757374657220612c20746865206c656164657220746f2062',
    ],
  ),
  plain('stopping', 'stopping', { db: 'app', reason: 'stopping' }, [
    'dcc44041c87a8788',
    '57434153010d00000000001800000000',
    '82a26462a3617070a6726561736f6ea873746f7070696e67',
  ]),
]
