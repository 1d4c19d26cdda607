package filterrig

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// upstreamMaker makes the terminal filter. It answers 200 with the request as
// text: the lines of its head, an empty line, the body and, behind another
// empty line, its trailers. The request header x-do asks for more, separated by
// ";": status=503, header=name:value, trailer=name:value, body=text.
var upstreamMaker = http.FilterMaker{Terminal: true, New: func(field.Path, *anypb.Any, *http.FactoryContext) (http.FilterFactory, error) {
	return upstreamFactory{}, nil
}}

type upstreamFactory struct{}

func (upstreamFactory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &upstream{cb: cb.(http.RouterCallbacks)}
}

type upstream struct {
	cb   http.RouterCallbacks
	body strings.Builder
}

func (u *upstream) DecodeHeaders(_ *http.HeaderMap, end bool) http.HeadersStatus {
	if end {
		u.answer()
	}
	return http.HeadersStopIteration
}

func (u *upstream) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	u.body.Write(b.Bytes())
	b.Reset()
	if end {
		u.answer()
	}
	return http.DataStopNoBuffer
}

func (u *upstream) DecodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	u.body.WriteString("\n\n")
	for l := range t.All {
		fmt.Fprintf(&u.body, "%s: %s\n", l.Name, l.Value)
	}
	u.answer()
	return http.TrailersStopIteration
}

func (u *upstream) OnDestroy() {}

func (u *upstream) answer() {
	var body strings.Builder
	for l := range u.cb.RequestHeaders().All {
		fmt.Fprintf(&body, "%s: %s\n", l.Name, l.Value)
	}
	body.WriteString("\n" + u.body.String())
	text := body.String()
	h := u.cb.NewResponse()
	h.Add(http.Status, "200")
	h.AddName("x-upstream", "yes")
	var trailers []string
	do, _ := u.cb.RequestHeaders().GetName("x-do")
	for verb := range strings.SplitSeq(do, ";") {
		what, value, _ := strings.Cut(verb, "=")
		switch what {
		case "status":
			h.Set(http.Status, h.Own(value))
		case "header":
			name, value, _ := strings.Cut(value, ":")
			h.AddName(h.Own(name), h.Own(value))
		case "trailer":
			trailers = append(trailers, value)
		case "body":
			text = value
		}
	}
	if trailers == nil {
		h.Set(http.ContentLength, h.Own(strconv.Itoa(len(text))))
	}
	u.cb.EncodeHeaders(h, text == "" && trailers == nil, "via_upstream")
	if text != "" {
		b := u.cb.Loop().NewBuffer()
		b.AppendString(text)
		u.cb.EncodeData(b, trailers == nil)
	}
	if trailers != nil {
		t := u.cb.NewTrailers()
		for _, line := range trailers {
			name, value, _ := strings.Cut(line, ":")
			t.AddName(t.Own(name), t.Own(value))
		}
		u.cb.EncodeTrailers(t)
	}
}
