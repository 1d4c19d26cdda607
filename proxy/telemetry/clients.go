package telemetry

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// GRPC is a gRPC server. Methods are full names: "/package.Service/Method".
type GRPC interface {
	// Call makes a unary call.
	Call(ctx context.Context, method string, request, response proto.Message) error
	// Stream opens a stream to send on; what the server sends is dropped. It
	// ends with ctx.
	Stream(ctx context.Context, method string) (Stream, error)
	// Close ends the connection, after the last call.
	Close()
}

// Stream is an open stream. A failed Send ends it.
type Stream interface {
	Send(proto.Message) error
	Close()
}

// HTTP is an HTTP server behind a cluster.
type HTTP interface {
	// Do sends a request and reads its answer to the end. An error is that
	// there was no answer.
	Do(ctx context.Context, r Request) (status int, err error)
}

// Request is an HTTP request.
type Request struct {
	Method  string // "" is POST
	Host    string // :authority
	Path    string
	Headers [][2]string
	Body    []byte
}

// Post sends m as the body of a request like r. An answer other than 2xx is an
// error.
func Post(ctx context.Context, server HTTP, r Request, m proto.Message) error {
	body, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	r.Body = body
	status, err := server.Do(ctx, r)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("the collector answers %d", status)
	}
	return err
}
