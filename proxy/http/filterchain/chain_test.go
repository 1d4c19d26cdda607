package filterchain

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// recorder is a stream that notes what its chain does.
type recorder struct {
	Stream
	c      *Chain
	events []string
}

func (r *recorder) note(format string, a ...any) {
	r.events = append(r.events, fmt.Sprintf(format, a...))
}

func (r *recorder) WriteHead(end bool)                    { r.note("head %v", end) }
func (r *recorder) WriteBody(b *network.Buffer, end bool) { r.note("body %s %v", b.Bytes(), end) }
func (r *recorder) WriteTail()                            { r.note("tail") }
func (r *recorder) Touch()                                {}
func (r *recorder) PauseRequest()                         { r.note("pause") }
func (r *recorder) ResumeRequest()                        { r.note("resume") }
func (r *recorder) RequestTooLarge()                      { r.note("too large") }
func (r *recorder) Answer(code int, _ string, _ func(*http.HeaderMap), _ int, _ string) {
	r.c.LocalReply = true
	r.note("answer %d", code)
}

// step is a filter that stops where it is told to.
type step struct {
	r    *recorder
	name string
	cb   http.FilterCallbacks
	head http.HeadersStatus
	data http.DataStatus
	adds string // to a head: a body; to the last data: trailers, if it is "trailers"
}

// add gives a message what the filter adds.
func (s *step) add(end bool, data func(*network.Buffer), trailers func() *http.HeaderMap) {
	switch {
	case !end:
	case s.adds == "trailers":
		trailers()
	case s.adds != "":
		b := (&network.Loop{}).NewBuffer()
		b.AppendString(s.adds)
		data(b)
	}
}

func (s *step) New(_ int, cb http.FilterCallbacks) http.StreamFilter { s.cb = cb; return s }
func (s *step) OnDestroy()                                           { s.r.note("%s destroyed", s.name) }
func (s *step) Recycle()                                             {}

func (s *step) DecodeHeaders(_ *http.HeaderMap, end bool) http.HeadersStatus {
	s.r.note("%s head %v", s.name, end)
	s.add(end && s.adds != "trailers", s.cb.AddDecodedData, nil)
	return s.head
}

func (s *step) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	s.r.note("%s body %s %v", s.name, b.Bytes(), end)
	s.add(end && s.adds == "trailers", nil, s.cb.AddDecodedTrailers)
	return s.data
}

func (s *step) DecodeTrailers(*http.HeaderMap) http.TrailersStatus {
	s.r.note("%s tail", s.name)
	return http.TrailersContinue
}

func (s *step) EncodeHeaders(_ *http.HeaderMap, end bool) http.HeadersStatus {
	s.r.note("%s answer head %v", s.name, end)
	s.add(end && s.adds != "trailers", s.cb.AddEncodedData, nil)
	return http.HeadersContinue
}

func (s *step) EncodeData(b *network.Buffer, end bool) http.DataStatus {
	s.r.note("%s answer body %s %v", s.name, b.Bytes(), end)
	s.add(end && s.adds == "trailers", nil, s.cb.AddEncodedTrailers)
	return http.DataContinue
}

func (s *step) EncodeTrailers(*http.HeaderMap) http.TrailersStatus {
	s.r.note("%s answer tail", s.name)
	return http.TrailersContinue
}

// start makes a chain of the filters a and b.
func start(t *testing.T) (*recorder, *step, *step) {
	t.Helper()
	r, steps := startAll(t, "a", "b")
	return r, steps[0], steps[1]
}

func startAll(t *testing.T, names ...string) (*recorder, []*step) {
	t.Helper()
	r := &recorder{c: &Chain{}}
	var steps []*step
	var filters []Filter
	for _, name := range names {
		s := &step{r: r, name: name}
		steps, filters = append(steps, s), append(filters, Filter{Name: name, Factory: s})
	}
	var h [4]http.HeaderMap
	r.c.Init(r, &network.Loop{}, 0, filters, Messages{&h[0], &h[1], &h[2], &h[3]}, &streaminfo.Info{}, &Scratch{})
	return r, steps
}

func (r *recorder) want(t *testing.T, events string) {
	t.Helper()
	if want := strings.Split(events, ", "); !reflect.DeepEqual(r.events, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(r.events, ", "), events)
	}
	r.events = nil
}

// body gives the chain a piece of the request's body.
func (r *recorder) body(s string, end bool) {
	b := r.c.TakeBuffer()
	b.AppendString(s)
	r.c.RequestWhole = end
	r.c.DecodeBody(b, end)
	r.c.PutBuffer(b)
}

// TestOrder: requests pass the filters in their order, responses backwards.
func TestOrder(t *testing.T) {
	r, _, _ := start(t)
	r.c.DecodeHead(false)
	r.body("x", true)
	r.c.EncodeHead(false)
	b := r.c.TakeBuffer()
	b.AppendString("y")
	r.c.EncodeBody(b, true)
	r.want(t, "a head false, b head false, a body x true, b body x true, b answer head false, a answer head false, head false, b answer body y true, a answer body y true, body y true")
	r.c.Destroy()
	r.want(t, "a destroyed, b destroyed")
}

// TestHold: what a filter holds goes on behind it when it says so.
func TestHold(t *testing.T) {
	r, a, _ := start(t)
	a.head, a.data = http.HeadersStopIteration, http.DataStopAndBuffer
	r.c.DecodeHead(false)
	r.body("x", false)
	r.body("y", true)
	r.want(t, "a head false, a body x false, a body y true")
	a.cb.ContinueDecoding()
	r.want(t, "b head false, b body xy true")
}

// TestHoldAll: a filter that stopped everything sees the body afterwards.
func TestHoldAll(t *testing.T) {
	r, a, _ := start(t)
	r.c.SetBufferLimit(1)
	a.head = http.HeadersStopAllAndWatermark
	r.c.DecodeHead(false)
	r.body("xy", false)
	r.c.RequestWhole, r.c.GotTrailers = true, true
	r.c.DecodeTail()
	r.want(t, "a head false, pause")
	a.cb.ContinueDecoding()
	r.want(t, "b head false, resume, a body xy false, b body xy false, a tail, b tail")
}

// TestTooLarge: a held body has a bound.
func TestTooLarge(t *testing.T) {
	r, a, _ := start(t)
	r.c.SetBufferLimit(3)
	a.head, a.data = http.HeadersStopIteration, http.DataStopAndBuffer
	r.c.DecodeHead(false)
	r.body("xy", false)
	r.body("zz", false)
	r.want(t, "a head false, a body xy false, a body zz false, too large, answer 413")
	if !r.c.Over() {
		t.Error("the request goes on")
	}
}

// TestAddedBody: a body that a filter gives a message of a head only passes all
// filters behind it, and so do the trailers that it adds.
func TestAddedBody(t *testing.T) {
	r, steps := startAll(t, "a", "b", "c")
	a, c := steps[0], steps[2]
	a.adds = "x"
	r.c.RequestWhole = true
	r.c.DecodeHead(true)
	r.want(t, "a head true, b head false, c head false, b body x true, c body x true")
	c.adds = "y"
	r.c.EncodeHead(true)
	r.want(t, "c answer head true, b answer head false, a answer head false, head false, b answer body y true, a answer body y true, body y true")

	r, steps = startAll(t, "a", "b", "c")
	a, c = steps[0], steps[2]
	a.adds, c.adds = "trailers", "trailers"
	r.c.DecodeHead(false)
	r.body("x", true)
	r.want(t, "a head false, b head false, c head false, a body x true, b body x false, c body x false, b tail, c tail")
	r.c.EncodeHead(false)
	b := r.c.TakeBuffer()
	b.AppendString("y")
	r.c.EncodeBody(b, true)
	r.want(t, "c answer head false, b answer head false, a answer head false, head false, c answer body y true, b answer body y false, a answer body y false, body y false, b answer tail, a answer tail, tail")
}
