// Package http1 is the HTTP/1.1 codec, both ways: [NewServer] for downstream
// connections, whose requests go to the connection manager, and [NewClient]
// for upstream ones, which a pool uses. What comes in is the connection's
// input buffer, given to Dispatch; what goes out is written straight into the
// connection's output buffer.
//
// # State machine
//
// A codec is in one phase, which says what the next byte is:
//
//	        ┌──────────────── stream done ───────────────┐
//	        ▼                                            │
//	head ──────┬── sized ────────────┬────────────► wait ┤ (until the other
//	        │  ├── chunked, trailers ┤                   │  half is complete)
//	        │  ├── to close ─────────┘                   │
//	        │  └── hold ── answered 101 or 2xx ► tunnel ─┘
//	        └── malformed, or the last message ──────► dead
//
// A server's stream begins with the first byte of a request line (as Envoy's
// does), so that the manager's timers cover a head that never ends. It is
// done when the request has been read and the response written. One request
// is under way at a time: the bytes of the next stay in the connection's
// buffer, with reading disabled, until the response is complete. A response
// that is complete before its request leaves the codec dead: the manager
// resets the stream, which closes the connection behind the response.
//
// A client's stream begins with NewStream and is done when the response has
// been read; the pool hears in OnStreamEnd whether the connection can carry
// another. Bytes that no request asked for end the connection. The pool gives
// Dispatch an empty buffer when the server has ended its side, which completes
// a response that is framed by that and no other.
//
// After CONNECT or an upgrade request the server holds the bytes that follow
// until the response is encoded: 2xx or 101 makes both sides tunnels, anything
// else makes the connection end after it.
//
// # Strictness
//
// Heads are parsed when they have come whole, so nothing depends on how the
// bytes are cut. RFC 9112 decides; where it leaves a choice Envoy 1.40's is
// taken (a line may end in LF, many leading empty lines are skipped), but:
// folded lines and CR within a value are refused, a second Host, a Host that
// is none, content-length lists, more than one transfer coding. Chunk framing
// takes CRLF only, and extensions are bounded. A malformed request is answered
// through RequestDecoder.SendLocalReply when its response has not begun;
// Dispatch then returns an *http.CodecError whose Status is 0, and the manager
// closes. A missing Host is left to the manager, as in Envoy.
//
// # The contract that bites
//
// Heads are copied once, into memory of the stream's HeaderMap, and names and
// values point there: they die with it. An encoder is dead when its stream is
// done; calls after that do nothing, but calls after the next stream has begun
// would reach that one. What a decoder leaves of the data it is given is
// dropped.
package http1
