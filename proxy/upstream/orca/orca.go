package orca

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/weirproxy/weir/proxy/http"
)

// Report is what load balancers use of an OrcaLoadReport.
type Report struct {
	CPU         float64 // utilization, of 1
	Application float64 // utilization
	QPS, EPS    float64 // requests and errors a second
	Named       map[string]float64
}

const (
	header       = "endpoint-load-metrics"
	headerBinary = "endpoint-load-metrics-bin"
	maxNamed     = 64
)

// Parse finds a report among response headers or trailers. ok is false when
// there is none, or a malformed one.
func Parse(h *http.HeaderMap) (r Report, ok bool) {
	if v, has := h.GetName(headerBinary); has {
		return binary(v)
	}
	v, has := h.GetName(header)
	if !has {
		return r, false
	}
	format, rest, _ := strings.Cut(v, " ")
	switch format {
	case "TEXT":
		return text(rest)
	case "JSON":
		return fromJSON(rest)
	case "BIN":
		return binary(rest)
	}
	return r, false
}

func (r *Report) set(name string, v float64) bool {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return false
	}
	switch name {
	case "cpu_utilization":
		r.CPU = v
	case "application_utilization":
		r.Application = v
	case "rps_fractional":
		r.QPS = v
	case "eps":
		r.EPS = v
	case "mem_utilization":
	default:
		if !strings.HasPrefix(name, "named_metrics.") || len(r.Named) >= maxNamed {
			return false
		}
		if r.Named == nil {
			r.Named = map[string]float64{}
		}
		r.Named[name] = v
	}
	return true
}

// text is name=value pairs with commas between.
func text(s string) (r Report, ok bool) {
	for _, pair := range strings.Split(s, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(pair), "=")
		v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if !found || err != nil || !r.set(strings.TrimSpace(name), v) {
			return Report{}, false
		}
	}
	return r, true
}

func fromJSON(s string) (r Report, ok bool) {
	var m struct {
		CPU         float64            `json:"cpu_utilization"`
		Application float64            `json:"application_utilization"`
		QPS         float64            `json:"rps_fractional"`
		EPS         float64            `json:"eps"`
		Named       map[string]float64 `json:"named_metrics"`
	}
	if json.Unmarshal([]byte(s), &m) != nil || len(m.Named) > maxNamed {
		return r, false
	}
	r = Report{CPU: m.CPU, Application: m.Application, QPS: m.QPS, EPS: m.EPS}
	for k, v := range m.Named {
		r.set("named_metrics."+k, v)
	}
	return r, true
}

// binary is the encoded protobuf in base64, with or without padding.
func binary(s string) (r Report, ok bool) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(s), "="))
	if err != nil {
		return r, false
	}
	names := map[protowire.Number]string{1: "cpu_utilization", 6: "rps_fractional", 7: "eps", 9: "application_utilization"}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return Report{}, false
		}
		b = b[n:]
		switch {
		case typ == protowire.Fixed64Type && names[num] != "":
			v, n := protowire.ConsumeFixed64(b)
			if n < 0 || !r.set(names[num], math.Float64frombits(v)) {
				return Report{}, false
			}
			b = b[n:]
		case num == 8 && typ == protowire.BytesType:
			e, n := protowire.ConsumeBytes(b)
			if n < 0 || !r.entry(e) {
				return Report{}, false
			}
			b = b[n:]
		default:
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return Report{}, false
			}
			b = b[n:]
		}
	}
	return r, true
}

// entry is one of the named_metrics.
func (r *Report) entry(b []byte) bool {
	var name string
	var value float64
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		switch {
		case num == 1 && typ == protowire.BytesType:
			name, n = protowire.ConsumeString(b)
		case num == 2 && typ == protowire.Fixed64Type:
			var v uint64
			v, n = protowire.ConsumeFixed64(b)
			value = math.Float64frombits(v)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return false
		}
		b = b[n:]
	}
	return r.set("named_metrics."+name, value)
}
