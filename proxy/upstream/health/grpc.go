package health

import (
	"encoding/binary"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/weirproxy/weir/proxy/http"
)

// GRPC is a compiled GrpcHealthCheck: the standard gRPC health checking
// protocol (grpc.health.v1.Health).
type GRPC struct {
	Service   string
	Authority string // "" for the cluster's name
	Headers   []Header
}

const serving = 1 // HealthCheckResponse.SERVING

func (c *GRPC) send(s *session, h *http.HeaderMap) []byte {
	h.Add(http.Method, "POST")
	h.Add(http.Path, "/grpc.health.v1.Health/Check")
	h.Add(http.Scheme, scheme(s))
	h.Add(http.Authority, authority(s, c.Authority))
	h.AddName("content-type", "application/grpc")
	h.AddName("te", "trailers")
	h.AddName("user-agent", "Envoy/HC")
	addHeaders(h, c.Headers)
	body := make([]byte, 5, 5+2+len(c.Service))
	if c.Service != "" {
		body = protowire.AppendString(protowire.AppendTag(body, 1, protowire.BytesType), c.Service)
	}
	binary.BigEndian.PutUint32(body[1:], uint32(len(body)-5))
	return body
}

func (c *GRPC) judge(e *exchange) {
	status := e.trailers.Get(http.GrpcStatus)
	if status == "" {
		status = e.response.Get(http.GrpcStatus)
	}
	code, _ := strconv.Atoi(e.response.Get(http.Status))
	if code == 200 && status == "0" && servingStatus(e.body) == serving {
		e.s.success(false, code)
		return
	}
	e.s.failure(active, false, code)
}

// servingStatus is the status of an uncompressed HealthCheckResponse, -1 when
// the body is not one.
func servingStatus(b []byte) int {
	if len(b) < 5 || b[0] != 0 || int(binary.BigEndian.Uint32(b[1:])) != len(b)-5 {
		return -1
	}
	status := 0 // UNKNOWN, which is not encoded
	for b = b[5:]; len(b) > 0; {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return -1
		}
		b = b[n:]
		if num == 1 && typ == protowire.VarintType {
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return -1
			}
			status, b = int(v), b[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return -1
		}
		b = b[n:]
	}
	return status
}
