package httprig

import (
	"net"

	"google.golang.org/grpc"
)

// GRPC runs a gRPC server, on which register registers services, and adds it
// as the cluster of that name.
func (r *Rig) GRPC(name string, register func(*grpc.Server)) {
	r.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	s := grpc.NewServer()
	register(s)
	go s.Serve(l)
	r.t.Cleanup(s.Stop)
	r.Cluster(name, "http2_protocol_options: {}", l.Addr().String())
}
