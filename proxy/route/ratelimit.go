package route

import (
	"github.com/weirproxy/weir/proxy/matcher"
)

// RateLimit is a compiled rate limit: how to make a descriptor of a request.
// The filters that limit rates use it.
type RateLimit struct {
	Stage      uint32
	DisableKey string
	Actions    []RateLimitAction
}

// RateLimitKind is what an action makes an entry of.
type RateLimitKind uint8

const (
	LimitSourceCluster RateLimitKind = iota
	LimitDestinationCluster
	LimitRequestHeader
	LimitQueryParameter
	LimitRemoteAddress
	LimitMaskedRemoteAddress
	LimitGenericKey
	LimitHeaderValueMatch
	LimitQueryParameterValueMatch
	LimitDynamicMetadata
	LimitRouteMetadata
)

// RateLimitAction makes one entry of a descriptor.
type RateLimitAction struct {
	Kind          RateLimitKind
	Key           string // the entry's key
	Value         string // of LimitGenericKey and the matches
	Default       string // when the value is missing
	Name          string // of the header (lower case) or query parameter
	SkipIfAbsent  bool   // leave the entry out instead of having no descriptor
	ExpectMatch   bool
	V4, V6        uint8 // mask lengths
	Headers       []matcher.Header
	Query         []matcher.QueryParameter
	MetadataSpace string
	MetadataPath  []string
}
