package extproc

// direction is an index of what there is for requests and for responses.
type direction int

const (
	request direction = iota
	response
)

// mode is a ProcessingMode compiled: what the processor is sent, by direction.
type mode [2]directionMode

type directionMode struct {
	headers, trailers bool
	body              bodyMode
}

type bodyMode uint8

const (
	none            bodyMode = iota
	streamed                 // piece by piece, each answered
	buffered                 // whole
	bufferedPartial          // as much as may be buffered
	duplex                   // piece by piece, answered as the processor likes
)

// defaultMode sends headers both ways.
var defaultMode = mode{{headers: true}, {headers: true}}
