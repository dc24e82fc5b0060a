/**
 * The one catalogue of errors. Callers match on the code; people read one line: code, what, what to
 * do. A code is never reused for another meaning.
 */

type Entry = { readonly status: number; readonly what: string; readonly cure: string }

const entry = (status: number, what: string, cure: string): Entry => ({ status, what, cure })

export const CATALOGUE = {
  // Database file
  DB_MISSING: entry(
    500,
    'no database file at {path}',
    'give --db the path of an existing SQLite database',
  ),
  DB_UNREADABLE: entry(
    500,
    'cannot open {path}: {detail}',
    'check that this user may read and write it and its folder; the user that runs a node ' +
      'must own FILE-walcast and a copy',
  ),
  DB_NOT_SQLITE: entry(
    500,
    '{path} is not a SQLite database',
    'give --db a SQLite 3 database file',
  ),
  DB_LOCKED: entry(
    500,
    '{path} is locked by another process: {detail}',
    'close the program that holds an exclusive lock or an open transaction on it, then start again',
  ),
  DB_REPLACED: entry(
    500,
    '{path} was replaced or deleted while this node was running',
    'end every program that has it open, remove {path}-wal and {path}-shm, put the right file ' +
      'there and start again; see docs/operating/restoring.md',
  ),
  DB_CORRUPT: entry(
    500,
    '{path} does not read as a sound database: {detail}',
    'check it with "PRAGMA integrity_check" and restore a backup if that fails',
  ),
  ENCODINGS_DIFFER: entry(
    409,
    '{before} and {after} keep text in different encodings, and SQLite reads only one at a time',
    'dump one of them into a new database with the PRAGMA encoding of the other, and compare that',
  ),
  DB_WAL_REFUSED: entry(
    500,
    '{path} cannot be switched to WAL mode: {detail}',
    'close every program that has it open, then start again',
  ),
  STRAY_WAL: entry(
    500,
    'there is a {path} without its database file',
    'move it aside (or put its database back), then start again',
  ),
  STRANGE_FILE: entry(
    500,
    '{path} is {kind}, and not a file of this node',
    'move it away, then start the node again; what lies behind it was not touched',
  ),
  FOLDER_FOREIGN: entry(
    500,
    '{path} belongs to user {uid}, and this node runs as user {own}',
    'run the node as that user, or give the folder and all in it to the user of the node: ' +
      'chown -R; if you do not know the folder, move it away',
  ),
  NOT_A_COPY: entry(
    500,
    '{path} exists and is not a copy made by this cluster',
    'give --db a path where no file exists yet, or move that file away, with its -wal and -shm; ' +
      'nothing was touched',
  ),
  NODE_FILE_BROKEN: entry(
    500,
    '{path} cannot be read: {detail}',
    'restore it from a backup of the node folder, or move the node folder away to start afresh',
  ),
  ALREADY_RUNNING: entry(
    500,
    'another walcast node is already in charge of {path}',
    '"walcast status --db {path}" shows it; stop it before you start another: one node per ' +
      'database file',
  ),
  SQLITE_TOO_OLD: entry(
    500,
    'SQLite {version} can lose committed pages when a checkpoint meets a WAL reset',
    'install better-sqlite3 12.11 or later (SQLite 3.51.3 or later)',
  ),
  UNSUPPORTED_HOST: entry(
    500,
    'this machine is not supported: {detail}',
    'run walcast on a little-endian Linux machine',
  ),
  DISK_FULL: entry(
    507,
    'no room left to write {path}',
    'free some space; the node goes on by itself then, and a command is to be given again',
  ),
  WRITE_FAILED: entry(
    500,
    'cannot write {path}: {detail}',
    'check the disk, and make the user that runs this node the owner of it and of its folder',
  ),
  SQLITE_BUSY: entry(
    503,
    'SQLite lock not available: {detail}',
    'another connection holds it; try again',
  ),
  SQLITE_FAILED: entry(
    500,
    'SQLite refused "{sql}": {detail}',
    'see the SQLite result code in the detail',
  ),

  // WAL
  WAL_BROKEN: entry(
    500,
    'the WAL does not read as published: {detail}',
    'the node starts a new epoch and replicas compare pages; nothing to do',
  ),
  WAL_FOREIGN: entry(
    400,
    '{path} is no SQLite database, no WAL and no wal-index: {detail}',
    'give a database file, or its -wal or -shm',
  ),
  WAL_INDEX_UNREADABLE: entry(503, 'the wal-index of {path} is being rewritten', 'try again'),
  UNKNOWN_CHANGE: entry(
    500,
    'the database changed in a way that was not captured: {detail}',
    'the node starts a new epoch and replicas compare pages; nothing to do',
  ),
  DIVERGED_UNKEPT: entry(
    507,
    'this copy may hold commits that its leader lacks, and they cannot be kept in {path}: {detail}',
    'make room on that disk; until then the copy stays as it is and does not follow; it goes ' +
      'on by itself',
  ),
  BUNDLE_GONE: entry(
    404,
    'this node has no bundle {name} with a list of rows',
    'see which there are: "walcast diverged list"',
  ),
  BUNDLE_BUSY: entry(
    409,
    'the bundle {name} is in use: {detail}',
    'try again in a moment; "walcast diverged list" shows its state',
  ),
  BUNDLES_BUSY: entry(
    503,
    'already {limit} requests for rows kept aside wait, or {each} of yours',
    'try again when the others have their answer',
  ),
  BUNDLE_SQL_TOO_LARGE: entry(
    413,
    'the SQL of these rows is longer than {limit} characters',
    'choose fewer rows or one table, or copy the database.db of the bundle to the leader and use ' +
      '"walcast diff"; see docs/operating/split-rows.md',
  ),
  BUNDLE_ENDED: entry(
    500,
    'the process that read the rows of a bundle ended early: {detail}',
    'look into the log of the kernel: it may have run out of memory; choose fewer rows, or copy ' +
      'the database.db of the bundle to the leader and use "walcast diff"',
  ),
  BUNDLE_SLOW: entry(
    503,
    'the rows of the bundle were not compared within {seconds} s',
    'choose rows of one table, or copy the database.db of the bundle to the leader and use ' +
      '"walcast diff"; see docs/operating/split-rows.md',
  ),
  STRAY_WRITE: entry(
    500,
    'something else wrote to the replica {path}: {detail}',
    'write on the leader only; the replica keeps aside what was written and repairs its ' +
      'pages from the leader',
  ),
  STATE_MISMATCH: entry(
    500,
    'the state checksum after {what} is {actual}, expected {expected}',
    'nothing was made visible; the replica compares its pages with the leader',
  ),
  PAGES_ROTTEN: entry(
    500,
    '{count} pages of {path} are not what was written',
    'this node takes them from the leader again; check the disk',
  ),

  // Protocol
  MESSAGE_BAD: entry(
    400,
    'bad message: {detail}',
    'the connection is closed; check that both nodes run the same walcast version',
  ),
  CLAIM_REFUSED: entry(
    409,
    'another node claims {what} {claimed}; this node knows none above {known} and believes ' +
      'nothing that far ahead',
    'look for a broken or hostile node; a node that was away for as long as that comes back with ' +
      'a new copy: stop it, move FILE and FILE-walcast away and start it again',
  ),
  MESSAGE_TOO_LARGE: entry(
    413,
    'a message of {bytes} bytes is over the limit of {limit}',
    'the connection is closed; check what is talking to this port',
  ),
  MESSAGE_CHECKSUM: entry(
    400,
    'message checksum {actual}, expected {expected}',
    'the connection is closed and resumed; look at the network if it happens again',
  ),
  PROTOCOL_VERSION: entry(
    426,
    'no protocol version in common: the leader speaks {leader}, this node {replica}',
    'run walcast versions that are close to each other on both nodes',
  ),
  UNKNOWN_DATABASE: entry(
    404,
    'there is no database named "{db}" here',
    'connect to the node that serves it',
  ),
  WRONG_CLUSTER: entry(
    409,
    'this copy belongs to cluster {mine}, the leader to {theirs}',
    'point --leader at the right leader; if this is the one, put its FILE-walcast back, ' +
      'or stop this node, move FILE and FILE-walcast away and start it again',
  ),
  WRONG_PAGE_SIZE: entry(
    409,
    'this copy has pages of {mine} bytes, the leader {theirs}',
    'a new copy is fetched beside this one and takes its place; then programs that have ' +
      'it open must open it again',
  ),
  WRONG_SECRET: entry(
    401,
    'the leader refused this node: {detail}',
    'set the same WALCAST_SECRET (or WALCAST_SECRET_FILE) on both nodes',
  ),
  SECRET_ENDED: entry(
    401,
    'the secret {id} of the cluster has ended: it was replaced while this node was away',
    'on a member: walcast pair; here, once this node is stopped: walcast join CODE --db FILE',
  ),
  SECRET_ENDS: entry(
    403,
    'the secret {id} is being replaced: it no longer changes members, keys and tokens',
    'on the machine of a member leave out --node: no secret is needed there; elsewhere give a ' +
      'token of role admin in WALCAST_TOKEN_FILE',
  ),
  WRONG_SENDER: entry(
    403,
    'only a node of the cluster may ask this, with its own key',
    'nothing was done; the commands of walcast ask other paths',
  ),
  WRONG_RECEIVER: entry(
    401,
    'the request is signed for node {named}, and this is node {node}',
    'nothing was done; the node that sent it asks again who is at this address',
  ),
  PEER_UNPROVEN: entry(
    503,
    'what answers at {address} does not prove to be a node of this cluster: {detail}',
    'nothing was sent there; look what listens at that address, and whether both sides have ' +
      'the same secret, or the command a token that "walcast token list" shows',
  ),
  WRONG_KEY: entry(
    401,
    'the request of node {node} comes over a connection that is not its own: {detail}',
    'nothing was done; a node that was removed has to be paired again, with a new key',
  ),
  TLS_WANTED: entry(
    426,
    'this node takes only TLS at this address',
    'write https:// in place of http://; load balancers and collectors ask the address of ' +
      '--health; --plaintext lets the node take plain text',
  ),
  KEYS_BROKEN: entry(
    500,
    'cannot use the key in {path}: {detail}',
    'restore the file, or move the folder away: the node then makes a new key, and has to be ' +
      'paired again',
  ),
  CERTIFICATE_EXPIRED: entry(
    500,
    'the certificate in {path} is valid from {from} to {to}',
    'put a valid certificate there, or compare the clock of this machine',
  ),
  NODE_ID_TAKEN: entry(
    409,
    'another process has the id {node} of this node: it was met at {address}',
    'stop one of the two; a copy of another node gets an id of its own by walcast ' +
      'new-identity --db FILE',
  ),
  NODE_NAMED: entry(
    409,
    'this node has led as {node}, and cannot be named {name}',
    'leave --name out; a copy of another node gets an id of its own by walcast ' +
      'new-identity --db FILE',
  ),
  NO_IDENTITY: entry(
    404,
    'there is no node at {path}',
    'name the database file of a copied node with --db; its folder FILE-walcast must lie beside it',
  ),
  SELF_LEADER: entry(
    409,
    'this node is pointed at itself',
    'give --leader the address of another node',
  ),
  STALE_LEADER: entry(
    409,
    'the leader is in epoch {theirs}, and this copy already in epoch {mine}',
    'point --leader at the present leader; a leader whose node folder was restored must not lead',
  ),
  EARLIER_EPOCH: entry(
    503,
    'the request was signed in epoch {theirs}, this leader is in epoch {mine}',
    'nothing was executed; a node signs it again by itself once it has heard of this leader',
  ),
  OTHER_INCARNATION: entry(
    503,
    'the request is meant for incarnation {theirs} of the leader, which is in {mine}',
    'nothing was executed; a node sends it again by itself once it has heard of this incarnation',
  ),
  SOURCE_BEHIND: entry(
    503,
    'the replica that feeds this one is at {theirs}, and this copy already at {mine}',
    'it catches up by itself; connect to the leader if it does not',
  ),
  CLOCKS_DIFFER: entry(
    401,
    'the signature is refused: {detail}',
    "this node signs again by the leader's clock; if it goes on, set the clocks of both machines",
  ),
  FOREIGN_PAGE: entry(
    403,
    'requests from web pages of other sites are refused',
    'ask from a program, or from the console at /_walcast/ under the address of the node',
  ),
  NOT_LEADER: entry(
    421,
    'the node at {address} is not the leader but a {role}',
    'give --leader the address of the leader',
  ),
  LEADER_UNREACHABLE: entry(
    503,
    'cannot reach the leader at {address}: {detail}',
    'check that it runs and that the address is right; this node keeps trying',
  ),
  TOO_MANY_REPLICAS: entry(
    503,
    'this leader already feeds {limit} replicas',
    'raise --max-replicas or use another node',
  ),
  REPLICA_UNKNOWN: entry(
    404,
    'no replica {node} is remembered here',
    'see walcast status for the ones that are',
  ),
  REPLICA_CONNECTED: entry(
    409,
    'replica {node} is connected',
    'only one that is away can be forgotten: stop it first',
  ),
  STALLED: entry(
    408,
    'nothing moved on the connection for {seconds} s',
    'check the network and the other node; the connection is opened again',
  ),

  // Requests on their way
  APP_UNREACHABLE: entry(
    503,
    'cannot reach the application at {url}: {detail}',
    'check that the application runs and that --upstream is its address; nothing was executed',
  ),
  NO_APPLICATION: entry(
    503,
    'this node knows no application to send requests to',
    'give --upstream the URL of the application; nothing was executed',
  ),
  APP_FAILED: entry(
    502,
    'the application at {url} broke off: {detail}',
    'see the log of the application; a read may be tried again',
  ),
  APP_SILENT: entry(
    504,
    'the application at {url} gave no answer in time: {detail}',
    'see the log of the application, or raise --answer-timeout',
  ),
  LEADER_AWAY: entry(
    503,
    'the leader at {address} did not take the request within {seconds} s: {detail}',
    'nothing was executed; send it again later',
  ),
  TOO_MANY_HELD: entry(
    503,
    'already {limit} requests wait for the leader, or for the application',
    'nothing was executed; send it again later, or raise --max-held',
  ),
  TOO_MANY_REQUESTS: entry(
    503,
    'already {limit} requests are under way',
    'nothing was executed; send it again later, or raise --max-requests',
  ),
  TOO_MANY_FROM_CLIENT: entry(
    429,
    'the client at {client} already has {limit} {what}',
    'nothing was executed; wait for the answers (a proxy in front is named with ' +
      '--trusted-proxies; see --max-client-requests)',
  ),
  TOO_MANY_CONNECTIONS: entry(
    503,
    'already {limit} connections are open',
    'nothing was executed; send it again later, or raise --max-connections',
  ),
  TOO_MANY_UPGRADES: entry(
    503,
    'already {limit} upgraded connections are open',
    'try again later, or raise --max-upgrades',
  ),
  REQUEST_STALLED: entry(
    408,
    'nothing of the body of the request came for {seconds} s',
    'send it again without a pause; see --body-timeout',
  ),
  NOT_EXECUTED: entry(
    503,
    'the leader did not take the request: {detail}',
    'nothing was executed; send it again',
  ),
  OUTCOME_UNKNOWN: entry(
    502,
    'the request may or may not have been executed: {detail}',
    'look before you send it again, or send writes with an Idempotency-Key',
  ),
  KEY_REUSED: entry(
    422,
    'this Idempotency-Key was used with another body',
    'take a new key for each new request',
  ),
  STALE_READ: entry(
    503,
    'this replica does not have what the read asks for yet: {wanted}',
    'read again in a moment or from the leader; see --on-stale',
  ),
  STANDBY: entry(
    503,
    'this is a standby node: it serves no application traffic',
    'ask the leader at {leader}',
  ),
  FORWARD_LOOP: entry(
    508,
    'this request has been through node {node} already',
    'give --upstream the address of the application, not that of a walcast node',
  ),
  FORWARD_REFUSED: entry(
    401,
    'a request for the application needs a valid signature of a node: {detail}',
    'send it to the proxy of a node; if a node sent it, compare secrets and clocks',
  ),
  FOREIGN_HANDLE: entry(
    500,
    'this database handle was made by another copy of better-sqlite3',
    "two SQLite libraries in one process drop each other's locks: install one better-sqlite3 " +
      'for application and walcast',
  ),

  // Leadership
  ALREADY_LEADER: entry(400, 'this node leads already, in epoch {epoch}', 'nothing to do'),
  LEADER_LIVES: entry(
    409,
    'node {node} at {address} says that it leads, in epoch {epoch}',
    'hand over with walcast switchover, or demote it first; --force promotes anyway',
  ),
  NOT_FIT: entry(
    409,
    'this node is not fit to lead: {detail}',
    'promote the node that is furthest; --force promotes this one anyway and tells what is lost',
  ),
  TAKE_OVER_FAILED: entry(
    503,
    'this node could not take over: {detail}',
    'it goes on as a replica; ask it again, or promote another node',
  ),
  ROLE_CHANGING: entry(
    409,
    'a change of role is under way: {detail}',
    'look at the status in a moment',
  ),
  ROLE_CHANGES_PAUSED: entry(
    409,
    'role changes are paused until {until} by {by}{reason}',
    'wait, or end the pause: walcast resume',
  ),
  ELECTION_AWAY: entry(
    503,
    '{service} does not answer as a lock service does: {detail}',
    'repair it; no node is promoted meanwhile, and walcast cluster shows who leads',
  ),
  ELECTION_UNFIT: entry(
    503,
    'leases in {service} would not be safe: {detail}',
    'use another lock service; see docs/operating/automatic-failover.md',
  ),
  LEASE_HELD: entry(
    409,
    'node {node} holds the lease of the leader',
    'walcast switchover moves it; when that node is gone its lease ends by itself',
  ),
  LEASE_LOST: entry(
    503,
    'this node does not hold the lease of the leader: {detail}',
    'send it to the leader: walcast cluster shows it',
  ),
  SWITCHOVER_FAILED: entry(
    503,
    'the switchover to {to} was given up: {detail}',
    'the leader goes on as before; see the status of both nodes',
  ),
  SWITCHOVER_UNKNOWN: entry(
    502,
    'node {to} was told to take over and did not answer: {detail}',
    'this node serves reads and follows it once it leads; promote a node if none does',
  ),
  LEADERLESS: entry(
    503,
    'no node leads: {to} did not take over ({refusal}), and this one could not write down ' +
      'that it leads on: {detail}',
    'nothing is lost; repair the disk, then promote either node',
  ),
  ROLE_UNSURE: entry(
    500,
    '{path} may name another role than this node has: {detail}',
    'repair the disk; the node writes the file again until that succeeds; started before, it ' +
      'may come up in the other role',
  ),
  FENCE_FAILED: entry(
    503,
    'could not get the write lock within {timeoutMs} ms',
    'a transaction of the application holds it; end it and try again',
  ),
  NO_TARGET: entry(
    409,
    'there is no node to switch over to: {detail}',
    'see walcast status for the replicas, and name one with --to',
  ),
  HIGHER_EPOCH: entry(
    409,
    'node {node} leads in epoch {theirs}, this one stands in epoch {mine}',
    'this node follows it; what only this one holds is kept aside',
  ),
  SWITCHING: entry(
    503,
    'the leader is handing over',
    'nothing was executed; send it again in a moment',
  ),
  NO_LEADER: entry(
    503,
    'no leader is known to this node',
    'nothing was executed; promote a node with walcast promote, or name the leader with ' +
      '--leader or --peers',
  ),
  LEADER_ALONE: entry(
    503,
    'this leader has heard of no replica for {seconds} s, and takes no writes',
    'repair the network or start a replica; see --fence-when-alone',
  ),
  REHEARSAL_FAILED: entry(
    503,
    'the rehearsal ended with {node} leading: {detail}',
    'see the status of both nodes; walcast switchover hands back',
  ),
  APP_PORT_TAKEN: entry(
    500,
    'no port for the application is free ({ports}): the first is taken by {holder}',
    'end that process or give --ports others',
  ),
  COMMAND_FAILED: entry(500, 'cannot run {command}: {detail}', 'check the command and its path'),

  // Settings
  SETTING_REFUSED: entry(
    400,
    'the setting "{name}" is refused: {detail}',
    'correct it; docs/application/settings.md says what a setting may be',
  ),
  SETTING_MISSING: entry(
    404,
    'there is no setting "{name}" in {path}',
    'see walcast settings list for the names',
  ),
  SETTING_ALTERED: entry(
    500,
    'the setting "{name}" is not what was written: {detail}',
    'find out who wrote to the database, then set it again or restore it from a backup',
  ),
  SETTING_KEY_UNKNOWN: entry(
    500,
    'the setting "{name}" is encrypted with an unknown key: {detail}',
    'the other nodes of the cluster have the key: pair this node with them, or set it again',
  ),
  SETTING_ON_REPLICA: entry(
    421,
    '{path} is the copy of a replica, and settings are written at the leader',
    'write on the machine of {leader}',
  ),
  SETTINGS_TABLE_FOREIGN: entry(
    500,
    'the table {table} of {path} is no table of settings: {detail}',
    'give the settings another table: option table, or --table NAME',
  ),
  NO_ENCRYPTION_KEY: entry(
    500,
    'nothing can be encrypted: there is no key-encryption key in {origin}',
    'a node of a cluster has one in FILE-walcast/keys; give its keyring, or do not encrypt',
  ),
  KEYRING_UNREADABLE: entry(
    500,
    'cannot read the keys in {path}: {detail}',
    'run this as the user of the node, or give the program its keys itself (Keyring.of)',
  ),

  // Archive
  ARCHIVE_BROKEN: entry(
    500,
    'the archive file {name} is not sound: {detail}',
    'use another copy of the archive; the files before and after this one may be whole',
  ),
  ARCHIVE_MISSING: entry(
    404,
    'the archive in {store} has no file {name}',
    'it may have been removed meanwhile: try again; otherwise use another copy of the archive',
  ),
  ARCHIVE_FOREIGN: entry(
    409,
    'the archive in {place} is of cluster {theirs}, and this node is of cluster {mine}',
    'give this cluster a place of its own with --backup',
  ),
  ARCHIVE_GAP: entry(
    409,
    'the archive has no way to {name}: {detail}',
    'take a position that "walcast backups" shows, or use another copy of the archive',
  ),
  ARCHIVE_MISMATCH: entry(
    500,
    'the archive does not give the state that it says it had at txid {txid}: {detail}',
    'restore an earlier position, or use another copy of the archive',
  ),
  ARCHIVE_LOCKED: entry(
    403,
    'the archive file {name} is encrypted for {recipients}, and {detail}',
    'give the file of one of these identities: --identity FILE, or WALCAST_IDENTITY',
  ),
  RECIPIENTS_UNREADABLE: entry(
    500,
    'cannot use the backup recipients in {path}: {detail}',
    'write each line that "walcast backup-key" printed into a file that only you can write',
  ),
  IDENTITY_UNREADABLE: entry(
    500,
    'cannot use the backup identity in {path}: {detail}',
    'give the file that "walcast backup-key" made: --identity FILE, or WALCAST_IDENTITY',
  ),
  NOT_ARCHIVING: entry(
    409,
    'this node archives nothing, and knows no node that does',
    'name the node that has --backup; its "walcast status" says whether it archives',
  ),
  BACKUP_BEHIND: entry(
    504,
    'the archive does not have {position} yet: {detail}',
    'the node goes on trying: see "walcast status"; a longer --timeout waits longer',
  ),
  TOO_MANY_BACKUPS: entry(
    503,
    'already {limit} requests wait for the archive to be level',
    'wait for those to end: the node archives by itself meanwhile',
  ),
  STORE_PLACE: entry(
    400,
    'cannot use the place of an archive: {detail}',
    'write a folder of its own, or s3://BUCKET/PREFIX?region=REGION; see docs/backup/s3.md',
  ),
  STORE_KEYS: entry(
    500,
    'no keys for the S3 store of an archive: {detail}',
    'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SHARED_CREDENTIALS_FILE and ' +
      'AWS_PROFILE; see docs/backup/s3.md',
  ),
  STORE_UNREACHABLE: entry(
    503,
    'cannot reach the archive in {store}: {detail}',
    'mount its disk, or make that folder; of a bucket check the network, the endpoint and region',
  ),
  STORE_REFUSED: entry(
    502,
    'the archive in {store} refuses to {what}',
    '{advice}; see docs/backup/s3.md',
  ),
  STORE_BROKEN: entry(
    502,
    'the archive in {store} gives an answer that makes no sense: {detail}',
    'check that its endpoint is that of an S3 store, with no proxy between that changes answers',
  ),
  ARCHIVE_NEWER: entry(
    409,
    'the archive file {name} is of a newer version: {detail}',
    'use a walcast that is as new as the one that wrote it, or newer',
  ),
  ARCHIVE_SEVERAL: entry(
    409,
    '{store} has the archives of several clusters: {clusters}',
    'name one with --cluster ID, and give each cluster a place of its own',
  ),
  CLUSTER_NOT_ARCHIVED: entry(
    404,
    '{store} has no archive of cluster {cluster}; it has {clusters}',
    'name one that it has with --cluster ID',
  ),
  NO_ARCHIVE: entry(
    404,
    'there is no archive in {store}',
    'give --from the place that has the folders snapshots and changes, or a node that archives',
  ),
  NODE_ARCHIVE: entry(
    404,
    'node {node} has no archive to restore from: {detail}',
    'name a node that archives, or start this one with --backup PLACE',
  ),
  NODE_ARCHIVE_BUSY: entry(
    503,
    'too many requests for the archive of node {node} wait already',
    'try again when other restores from it have ended, or give the place of the archive itself',
  ),
  POSITION_NOT_ARCHIVED: entry(
    404,
    'the archive has no {wanted}; {nearest}',
    'restore one that it has: "walcast backups --from" shows them',
  ),
  DRILL_MISMATCH: entry(
    500,
    'the archive has another state at {position} than this node had: {theirs}, not {mine}',
    'run "walcast verify", and find out which of the two is right before the archive is needed',
  ),
  DRILL_CHECK_FAILED: entry(
    500,
    'the restored database of {position} fails --drill-check: {detail}',
    'restore that position with "walcast restore", and look at what the query gives',
  ),
  DRILL_NO_ROOM: entry(
    507,
    'a drill needs {needed} MiB in {path} and has {free} MiB, {reserve} MiB of them in reserve',
    'free some space on that disk, or lower --drill-reserve',
  ),
  DRILL_ENDED: entry(
    500,
    'the process of a drill ended early: {detail}',
    'look into the log of the kernel: it may have run out of memory; a later drill tries again',
  ),
  RESTORE_NO_ROOM: entry(
    507,
    'the restore needs {needed} MiB in {path} and has {free} MiB, {reserve} MiB of them in reserve',
    'free some space on that disk, lower --drill-reserve, or give --restore-to another disk',
  ),
  PAST_BUSY: entry(
    429,
    'node {node} does not read its archive for you now: {detail}',
    'wait until that has ended, or end it; "walcast at" and "walcast restore" need no node',
  ),
  PAST_ENDED: entry(
    500,
    'the process that read the past ended early: {detail}',
    'try a smaller query, or "walcast at" on the machine of the archive; see the log of the kernel',
  ),
  PAST_RESTORE_GONE: entry(
    404,
    'node {node} has no such restore: {detail}',
    'begin it again: a file that is to be downloaded is kept for some minutes, until it is sent',
  ),
  RESTORE_REFUSED: entry(409, 'cannot restore to {path}: {detail}', 'give --to another path'),
  RESTORE_IN_USE: entry(
    409,
    'cannot replace {path}: {detail}',
    'stop the node and end the programs that have it open, then give the same command again',
  ),
  RESTORE_UNSOUND: entry(
    500,
    'the database of txid {txid} is restored as it was, and it was not sound: {detail}',
    'restore an earlier position; or take it as it was, with --no-integrity-check',
  ),
  FOLLOWED_CHANGED: entry(
    409,
    '{path} is not what the archive left there: {detail}',
    'keep a copy of it if you need what was written; then give the same command with --force, ' +
      'which makes it the state of the archive again',
  ),
  INTO_REFUSED: entry(
    409,
    'cannot restore into {node}: {detail}',
    'nothing was changed; see "walcast restore --help"',
  ),
  INTO_ABORTED: entry(
    500,
    'the restore into {node} ended before its commit: {detail}',
    'nothing was changed there; give the same command again',
  ),
  INTO_UNCONFIRMED: entry(
    500,
    'the restored state is committed in {db}, and its node did not confirm it: {detail}',
    'run "walcast status"; the state before is {before} in the archive',
  ),
  MOMENT_MISSING: entry(
    404,
    'the archive in {store} does not have {moment}: {detail}',
    '"walcast history --from {store}" lists the positions that it has',
  ),
  UNDO_REFUSED: entry(
    409,
    'these transactions cannot be undone: {detail}',
    'nothing was changed; see "walcast undo --help"',
  ),
  UNDO_CONFLICTS: entry(
    409,
    'later transactions changed {count} of the {rows} rows too',
    'nothing was changed; --conflicts keep leaves these rows as they are, --conflicts undo takes ' +
      'back what the undone transactions wrote there',
  ),
  QUERY_FAILED: entry(
    400,
    'the query on the past has no answer: {detail}',
    'see walcast at --help: --timeout gives more time, --open FILE makes a file for any program',
  ),

  // Operator
  USAGE: entry(400, '{detail}', 'see walcast --help'),
  PORT_TAKEN: entry(
    500,
    'cannot listen on {address}: the port is taken',
    'stop what uses it or give {flag} another port',
  ),
  LISTEN_FAILED: entry(
    500,
    'cannot listen on {address}: {detail}',
    'give {flag} an address of this machine as HOST:PORT',
  ),
  OPEN_WITHOUT_SECRET: entry(
    500,
    'refusing to listen on {address} without a secret',
    'run "walcast pair" on a node of the cluster and the "walcast join" that it prints here; or ' +
      'set WALCAST_SECRET or WALCAST_SECRET_FILE, or listen on 127.0.0.1',
  ),
  SECRET_UNREADABLE: entry(
    500,
    'cannot use the secret: {detail}',
    'set either WALCAST_SECRET or WALCAST_SECRET_FILE, at least 16 characters',
  ),
  SECRET_SHARED: entry(
    500,
    'others may read the secret in {path}: its mode is {mode}',
    'chmod 0600 it (0640 if root owns it); mount the secret of a container with mode ' +
      '0400 (Docker) or defaultMode 0400 (Kubernetes)',
  ),
  TRUST_BROKEN: entry(
    500,
    'the keys and members of the cluster in {path} cannot be read: {detail}',
    'put the file back from a backup of the node folder, or move it away: the node then has to ' +
      'join again',
  ),
  TRUST_REFUSED: entry(
    409,
    'what another node tells of keys and members is refused: {detail}',
    'check that both nodes are of one cluster; a node that was paired with another one joins again',
  ),
  TRUST_FULL: entry(
    409,
    'the cluster has {limit} {what}, and there is no room for more',
    'remove some that are not needed any more, and try again',
  ),
  KEY_REMOVED: entry(
    409,
    'the key of {node} was removed from this cluster, and is refused for ever',
    'to let it in again, with a new key: walcast pair on a member, then, where it is stopped, ' +
      'walcast join CODE --db FILE',
  ),
  PAIRING_WITHOUT_SECRET: entry(
    409,
    'this cluster has no secret, so there is nothing to pair with',
    'restart the leader with --listen beyond 127.0.0.1 or with --tls: it makes a secret then; ' +
      'a node that does not lead gets it by walcast join',
  ),
  PAIRING_FULL: entry(
    429,
    '{limit} pairing codes of this node are waiting to be used; the first expires in {seconds} s',
    'use one of them, or wait',
  ),
  PAIRING_CODE_BAD: entry(
    400,
    'this is no whole pairing code: {detail}',
    'copy the whole line that "walcast pair" printed, or make a new code with it',
  ),
  PAIRING_CODE_WRONG: entry(
    403,
    'node {node} knows no such pairing code, or its secret is another one',
    'make a new code with "walcast pair"; a restart of the node ends its codes',
  ),
  PAIRING_CODE_EXPIRED: entry(
    403,
    'the pairing code is older than {minutes} minutes, or than a new secret of the cluster',
    'make a new code with "walcast pair"',
  ),
  PAIRING_CODE_USED: entry(
    403,
    'the pairing code was used already, by node {by}',
    'make a new code with "walcast pair"; if you do not know that node, take it out: ' +
      '"walcast remove {by}"',
  ),
  PAIRING_CODE_ENDED: entry(
    403,
    'the pairing code was ended by {limit} wrong tries',
    'make a new code with "walcast pair", and look in "walcast audit" where the tries came from',
  ),
  PAIRING_CLOCK: entry(
    409,
    'the clock of this host says {theirs}, and that of node {node} says {mine}',
    'set the clocks of both hosts (NTP), and run the same command again: the code is still good',
  ),
  PAIRING_NODE_TAKEN: entry(
    409,
    'another node of the cluster has the id {node}',
    'give this one another: --name ID, or "walcast new-identity --db FILE" if it has run before; ' +
      'to replace a lost node, "walcast remove {node}" first; the code is still good',
  ),
  PAIRING_OTHER_CLUSTER: entry(
    409,
    'the folder of this node belongs to cluster {theirs}, and the code is of {mine}',
    'give --db another path, or move the database and FILE-walcast away; the code is still good',
  ),
  PAIRING_OTHER_NODE: entry(
    502,
    'another node than that of the code answers at {address}: {detail}',
    'nothing was sent there; look what listens at that address, or make a new code with ' +
      '"walcast pair"',
  ),
  PAIRING_UNSEALED: entry(
    502,
    'the answer from {address} is not that of the node that made the code: {detail}',
    'nothing was written; make a new code with "walcast pair", and look who is on the way',
  ),
  JOIN_LEADS: entry(
    409,
    'the node of {path} leads a cluster of its own',
    'give --db a path where no file exists yet; or pair the other way round: "walcast pair" ' +
      'here, "walcast join" there',
  ),
  JOIN_SELF: entry(
    409,
    'the code was made by this node itself, or --listen is the address of the node that made it',
    'run "walcast join" on the new host, with an address of the new host as --listen',
  ),
  JOIN_OTHER_SECRET: entry(
    409,
    'WALCAST_SECRET or WALCAST_SECRET_FILE is set to a secret that this cluster does not have',
    'unset it (the node keeps the secret of the cluster itself), and run the same command again',
  ),
  UNIT_EXISTS: entry(
    409,
    '{path} is there already, and says something else',
    'compare the two, remove it or give another name with --unit, and run the same command again',
  ),
  UNIT_USER: entry(
    409,
    'the node would run as {user}, who owns {owns}: {detail}',
    'mend that, or give {owns} to another user (chown), and run the same command again',
  ),
  OPEN_CLUSTER: entry(
    409,
    'this cluster has no secret, so it has no members and no keys to change',
    'give all nodes one secret first: WALCAST_SECRET or WALCAST_SECRET_FILE',
  ),
  ROTATION_UNDER_WAY: entry(
    409,
    'the secret is being replaced already: {older} is good until {ends}',
    'wait until then; --force makes another one now, for a secret that is known to be stolen',
  ),
  MEMBER_UNKNOWN: entry(
    404,
    'this node knows no member {node}',
    'see "walcast status" for the members, and name it by its id',
  ),
  MEMBER_KEPT: entry(
    409,
    'node {node} cannot be removed: {detail}',
    'walcast leave lets a node go itself; walcast switchover moves leadership away from it; ' +
      '--force removes a leader that is lost',
  ),
  LEADER_LEAVES: entry(
    409,
    'this node leads its cluster, and a leader cannot leave',
    'walcast switchover hands leadership to another node; then try again',
  ),
  NOBODY_TOLD: entry(
    503,
    'no member was reached that could remove the keys of this node: {detail}',
    'try again when one is there; --force leaves all the same: then type walcast remove {node} ' +
      'on a member',
  ),
  LEFT: entry(
    409,
    'node {node} has left cluster {cluster}: {path} is a plain copy as of {position}',
    'to make it a member again: walcast pair on a member, then walcast join CODE --db FILE ' +
      '--listen HOST:PORT; to lead a cluster of its own, move FILE-walcast away and start ' +
      'walcast leader',
  ),
  CONFIG_BAD: entry(
    500,
    'cannot use the configuration file {path}: {detail}',
    'correct the file; see walcast COMMAND --help for the keys',
  ),
  UNAUTHORIZED: entry(
    401,
    'a valid token is needed: {detail}',
    'make one on the machine of a node with "walcast token create --role read", and send ' +
      '"Authorization: Bearer wct_..."; commands take it from WALCAST_TOKEN or WALCAST_TOKEN_FILE',
  ),
  TOKEN_TOO_WEAK: entry(
    403,
    'token {id} has the role {role}, and {what} wants {needed}',
    'use another token; "walcast token list" shows which there are, and ' +
      '"walcast token create" makes one',
  ),
  TOO_MANY_ATTEMPTS: entry(
    429,
    'too many wrong tokens came from this address; the next try is in {seconds} s',
    'correct the token; one that is right is taken at once',
  ),
  TOKEN_UNREADABLE: entry(
    500,
    'cannot use the token: {detail}',
    'set either WALCAST_TOKEN or WALCAST_TOKEN_FILE to what "walcast token create" printed',
  ),
  TOKENS_WITHOUT_SECRET: entry(
    409,
    'this cluster has no secret, so every request is allowed and a token would say nothing',
    'give all nodes one secret first: WALCAST_SECRET or WALCAST_SECRET_FILE, or --tls',
  ),
  NOT_FOUND: entry(404, 'nothing at {path}', 'docs/http.md lists the paths of a node'),
  BAD_REQUEST: entry(400, '{detail}', 'correct the request'),
  POSITION_UNKNOWN: entry(
    409,
    "{wanted} is not part of this node's history",
    'read the current position from /_walcast/status',
  ),
  SCRUB_NOT_NOW: entry(
    503,
    'the database was not at rest for {seconds} s, so its pages could not be compared',
    'see /_walcast/status; try again when the node is level with its leader',
  ),
  WAIT_TIMEOUT: entry(
    504,
    '{wanted} was not here within {timeoutMs} ms',
    'try again or read from the leader',
  ),
  NOT_REPLICATED: entry(
    504,
    '{replicas} replicas hold {wanted}; level {level} was not reached ({detail})',
    'the leader has it; wait again, or see which replicas are away with "walcast status"',
  ),
  CONSOLE_MISSING: entry(
    500,
    'no file of the web console at {path}: {detail}',
    'build the checkout with "npm run build", or install walcast again',
  ),
  TOO_MANY_EVENT_STREAMS: entry(
    503,
    'already {limit} listeners of events',
    'close some, or raise --max-event-streams',
  ),
  TOO_MANY_WAITS: entry(
    503,
    'already {limit} requests wait for a position',
    'try again or read from the leader',
  ),
  AUDIT_BUSY: entry(
    503,
    'already {limit} notes for the audit log wait for the disk',
    'try again in a moment',
  ),
  LAG_HISTORY_BUSY: entry(
    503,
    'already {limit} questions wait for the history of lag, or {each} of yours',
    'try again in a moment',
  ),
  CALLER_GONE: entry(
    503,
    'who asked went away while the node waited for {wanted}',
    'ask again, and wait for the answer',
  ),
  NO_LOCAL_NODE: entry(
    503,
    '{detail}',
    'start the node, or name another one: --db FILE on its machine, --node URL from elsewhere',
  ),
  SEVERAL_NODES: entry(
    409,
    'several nodes run on this machine, with the files {files}',
    'name one: --db {first}',
  ),
  OTHER_USERS_NODE: entry(
    403,
    'this user may not ask the node of {db}: {detail}',
    'run the command as the user that runs the node, or as root; or give --node URL and a secret',
  ),
  NODE_UNREACHABLE: entry(
    503,
    'cannot reach {url}: {detail}',
    'check that the node runs, that the address is right, and that no firewall is between',
  ),
  NODE_ANSWER: entry(
    502,
    '{url} answered {detail}',
    'check that the URL is that of the private side (--listen) of a walcast node',
  ),
  DEMO_FAILED: entry(
    500,
    'the demo failed: {detail}',
    'see the reason, and the log lines above if there are any; every process was stopped',
  ),
  STARTING: entry(503, 'this node is still starting', 'try again in a moment'),
  STOPPING: entry(503, 'this node is stopping', 'try again in a moment'),
  INTERNAL: entry(500, 'unexpected failure: {detail}', 'report this with the log lines before it'),
} as const satisfies Record<string, Entry>
