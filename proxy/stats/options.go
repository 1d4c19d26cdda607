package stats

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// Options are the query parameters of Envoy's /stats.
type Options struct {
	UsedOnly     bool           // only what has been written since the start
	Filter       *regexp.Regexp // matched anywhere in the name; nil: all
	InvertFilter bool           // show what Filter doesn't match
	Types        Types
	Buckets      Buckets
	TextReadouts bool // Prometheus: text readouts as gauges of value 0
}

// Types selects kinds of statistics.
type Types uint8

// The values of ?type=.
const (
	TextReadouts Types = 1 << iota
	Counters
	Gauges
	Histograms
	All = TextReadouts | Counters | Gauges | Histograms
)

// Buckets is how histograms are shown.
type Buckets uint8

// The values of ?histogram_buckets=. Default is quantiles in the text and JSON
// pages and cumulative buckets for Prometheus.
const (
	Default Buckets = iota
	Summary
	Cumulative
	Disjoint
	Detailed
	Native // of the protobuf format, which weir doesn't write
)

var typesByName = map[string]Types{"All": All, "Counters": Counters, "Gauges": Gauges, "Histograms": Histograms, "TextReadouts": TextReadouts}

var bucketsByName = map[string]Buckets{"": Default, "none": Summary, "summary": Summary, "cumulative": Cumulative, "disjoint": Disjoint, "detailed": Detailed, "prometheusnative": Native}

// ErrPrometheusBuckets is returned for a bucket mode that the Prometheus format doesn't have.
var ErrPrometheusBuckets = errors.New("unsupported prometheus histogram bucket mode")

// ErrNativeBuckets and ErrOnlyPrometheus are returned for native histograms on
// the pages for Prometheus, which are text, and on the others.
var (
	ErrNativeBuckets = errors.New("unsupported prometheusnative histogram type when not using protobuf exposition format")
	//lint:ignore ST1005 Envoy's words
	ErrOnlyPrometheus = errors.New("Invalid histogram_buckets type for non prometheus stats type")
)

// queryError is in Envoy's words, capitals and newlines included.
type queryError string

func (e queryError) Error() string { return string(e) }

// ParseOptions reads the query parameters. The text of an error is the body of
// Envoy's 400.
func ParseOptions(query url.Values) (Options, error) {
	o := Options{
		UsedOnly:     query.Has("usedonly"),
		InvertFilter: query.Has("invert_filter"),
		TextReadouts: query.Has("text_readouts"),
		Types:        All,
	}
	switch query.Get("hidden") {
	case "", "include", "only", "exclude":
	default:
		return o, queryError("usage: /stats?hidden=(include|only|exclude)\n\n")
	}
	if f := query.Get("filter"); f != "" {
		re, err := regexp.Compile(f)
		if err != nil {
			return o, queryError("Invalid re2 regex: " + strings.NewReplacer("error parsing regexp: ", "", "missing closing ", "missing ", "`", "").Replace(err.Error()))
		}
		o.Filter = re
	}
	var ok bool
	if kind := query.Get("type"); kind != "" {
		if o.Types, ok = typesByName[kind]; !ok {
			return o, queryError("invalid &type= param")
		}
	}
	if o.Buckets, ok = bucketsByName[query.Get("histogram_buckets")]; !ok {
		return o, queryError("usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary|prometheusnative)\n")
	}
	if query.Get("hidden") == "only" {
		o.Types = 0 // there are no hidden statistics
	}
	return o, nil
}

// match says whether to show the statistic named prefix+name.
func (o *Options) match(prefix, name string, used bool) bool {
	if o.UsedOnly && !used {
		return false
	}
	return o.Filter == nil || o.Filter.MatchString(prefix+name) != o.InvertFilter
}
