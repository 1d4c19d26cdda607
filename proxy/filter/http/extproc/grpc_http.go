package extproc

import (
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// httpService is a processor that is asked about heads by POST, with the
// messages of the gRPC service as JSON.
type httpService struct {
	cluster, host, path string
	timeout             time.Duration
}

// post sends the processor a message. Where there is no such cluster the reply
// is awaited in vain, as in Envoy.
func (f *filter) post(m *extprocv3.ProcessingRequest) {
	body, _ := protojson.Marshal(m) // its strings are valid
	o := async.Options{Timeout: f.http.timeout, Downstream: f.cb.Connection(), External: true}
	if r := f.client.Send(f.http.cluster, o, f.http.fill, body, f.onPosted); r != nil {
		f.posted, f.logging.cluster = r, f.http.cluster
	}
}

func (s *httpService) fill(h *http.HeaderMap) {
	h.Add(http.Method, "POST")
	h.Add(http.Path, s.path)
	h.Add(http.Authority, s.host)
	h.Add(http.ContentType, "application/json")
}

// onPosted takes the answer.
func (f *filter) onPosted(r *async.Response) {
	f.posted = nil
	if f.over {
		return
	}
	var m extprocv3.ProcessingResponse
	if r.Local || r.Status != 200 || protojson.Unmarshal(r.Body, &m) != nil {
		f.stats.HTTPNotOK.Inc()
		f.noteEnd(aborted)
		f.fail(f.errorStatus, "ext_proc_error_HTTP_ERROR")
		return
	}
	f.stats.StreamMsgsReceived.Inc()
	f.take(f.read(&m))
}
