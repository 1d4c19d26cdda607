// Package http2 is the HTTP/2 codec (RFC 9113), both ways: [NewServer] for
// downstream connections, whose requests go to the connection manager, and
// [NewClient] for upstream ones, which a pool uses. What comes in is the
// connection's input buffer, given to Dispatch; what goes out is written
// straight into the connection's output buffer, which is flushed once a turn
// of the loop whatever number of streams wrote to it.
//
// # Where things are
//
// A [conn] is what both directions share: frames in (dispatch.go, control.go,
// data.go, block.go), frames out (write.go, send.go), flow control (flow.go)
// and the bounds of what a peer may make it do (flood.go). A [stream] is one
// exchange; server.go and client.go decide when streams begin and what a
// header section means (field.go). HPACK has an encoder and a
// decoder (hpack_*.go) of its own, since strings of a HeaderMap die
// with their stream and package hpack keeps and allocates them; that package
// is what tests and fuzz targets compare them with.
//
// # Streams
//
// A stream lives in its connection's table from its first HEADERS frame until
// both sides have ended it or one has reset it; then it is recycled at the end
// of the turn. Its user may be gone earlier: a server's stream whose response
// waits for the peer's window stays until that is written.
//
//	            received END_STREAM          sent END_STREAM
//	open ──► half closed (remote) ──┐   ┌── half closed (local) ◄── open
//	                                ▼   ▼
//	            RST_STREAM ──►     closed
//
// Streams that this side has reset are remembered for a while, so that frames
// that were under way are told from those on streams that never were.
//
// # Flow control
//
// What a stream's reader does not take (ReadDisable) stays with the stream,
// and its bytes are credited to the peer only when they are delivered: a peer
// can fill one window, no more. What a peer does not take waits in the stream,
// above whose limit the stream's high watermark callbacks run. While the
// connection's output is above its own watermark, streams keep what they are
// given.
//
// # Strictness
//
// A violation of RFC 9113 ends the connection by GOAWAY where the RFC has a
// connection error, and the stream where it has a stream error. Malformed
// messages end the connection as well unless Settings.StreamErrors is set:
// that is Envoy's choice. Floods end it with ENHANCE_YOUR_CALM and a counter
// of their own.
//
// # The contract that bites
//
// An encoder is dead once its stream has ended both ways; calls until the end
// of the turn do nothing, calls later would reach another stream.
package http2
