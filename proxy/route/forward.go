package route

import (
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/tracing"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// Unset stands for a duration that the configuration does not give.
const Unset time.Duration = -1

// Forward is a compiled RouteAction. All of it is read only.
type Forward struct {
	cluster, clusterHeader string // one of them, or
	weighted               *weightedClusters
	metadataMatch          []lb.MetadataCriterion

	pathRewrite rewrite
	hostRewrite hostRewrite

	// ClusterNotFoundCode answers requests whose cluster does not exist: 503
	// unless configured.
	ClusterNotFoundCode int
	// Timeout is for the whole response: 15 s unless configured; 0 for none.
	Timeout time.Duration
	// IdleTimeout and FlushTimeout override the connection manager's; Unset
	// when not configured, 0 for none.
	IdleTimeout, FlushTimeout time.Duration
	// MaxStreamDuration overrides the connection manager's; Unset, 0: none.
	MaxStreamDuration time.Duration
	// NewTimeouts tells that max_stream_duration is given, which takes the
	// place of Timeout.
	NewTimeouts bool
	// GrpcTimeoutHeaderMax bounds the stream duration that grpc-timeout asks
	// for, and makes it be obeyed: Unset: ignored; 0: without bound.
	// GrpcTimeoutHeaderOffset is subtracted from it.
	GrpcTimeoutHeaderMax, GrpcTimeoutHeaderOffset time.Duration
	// MaxGrpcTimeout and GrpcTimeoutOffset are the older form, for Timeout.
	MaxGrpcTimeout, GrpcTimeoutOffset time.Duration

	HighPriority bool
	// AutoHostRewrite asks for the host to become the upstream host's name,
	// once that is known.
	AutoHostRewrite bool

	// The route's own, or else the virtual host's; nil for none.
	Retry   *RetryPolicy
	Hedge   *HedgePolicy
	Mirrors []Mirror // the route's, else the virtual host's, else the configuration's

	Hash                *HashPolicy // nil for none
	RateLimits          []RateLimit
	IncludeVHRateLimits bool
	Upgrades            []Upgrade
	InternalRedirect    *InternalRedirect // nil: not followed
}

// HedgePolicy is a compiled HedgePolicy.
type HedgePolicy struct {
	OnPerTryTimeout bool // start another try without giving up the first
}

// Mirror is a compiled RequestMirrorPolicy.
type Mirror struct {
	Cluster, ClusterHeader string     // one of them
	Fraction               *Fraction  // nil: all requests
	TraceSampled           *bool      // nil: as the request
	DisableHostSuffix      bool       // no "-shadow" behind the host
	HostRewrite            string     // "" for none
	Mutations              *Mutations // of the copy's head; nil: none
}

// Upgrade allows or forbids an upgrade on a route.
type Upgrade struct {
	Type             string // lower case
	Enabled          bool
	TerminateConnect bool // connect_config: send the payload as raw TCP
	AllowPost        bool
	// ProxyProtocol is the version of the PROXY protocol that begins such a
	// connection; 0: none.
	ProxyProtocol int
}

// Terminates is the upgrade that has the request's payload sent on as raw TCP;
// nil when there is none.
func (f *Forward) Terminates(h *http.HeaderMap) *Upgrade {
	for i := range f.Upgrades {
		u := &f.Upgrades[i]
		if !u.TerminateConnect || !u.Enabled {
			continue
		}
		if m := h.Get(http.Method); m == "CONNECT" && !h.Has(http.Protocol) || u.AllowPost && m == "POST" {
			return u
		}
	}
	return nil
}

// InternalRedirect is a compiled InternalRedirectPolicy.
type InternalRedirect struct {
	MaxRedirects     uint32
	Codes            []uint32
	AllowCrossScheme bool
	HeadersToCopy    []string // lower case

	// The predicates: routes that may be the target (nil: all), whether one
	// may be a target twice, and whether https may lead to http.
	AllowedRoutes   []string
	NotPrevious     bool
	SafeCrossScheme bool
}

// RetryPolicy is a compiled RetryPolicy.
type RetryPolicy struct {
	On                RetryOn
	NumRetries        uint32
	PerTryTimeout     time.Duration // 0: none
	PerTryIdleTimeout time.Duration // 0: none
	BaseInterval      time.Duration // 0: the runtime's default, 25 ms
	MaxInterval       time.Duration // 0: ten times the base
	StatusCodes       []uint32
	Headers           []matcher.Header    // of the response
	RequestHeaders    []matcher.Header    // only requests with these are retried
	RateLimited       *RateLimitedBackOff // nil: none

	// Hosts that a retry rather does not go to: those tried before, canaries,
	// those with all of this envoy.lb metadata. HostSelectionAttempts is how
	// often another is asked for.
	OmitPreviousHosts     bool
	OmitCanaryHosts       bool
	OmitMetadata          []lb.MetadataCriterion
	HostSelectionAttempts int
	// PreviousPriorities makes each that many tries leave out the priorities
	// tried before; 0: never.
	PreviousPriorities int
}

// RateLimitedBackOff takes the delay before a retry from the response.
type RateLimitedBackOff struct {
	Headers     []ResetHeader
	MaxInterval time.Duration
}

// ResetHeader is a response header that says when to come again.
type ResetHeader struct {
	Name          string // lower case
	UnixTimestamp bool   // else seconds
}

// Decorator is a compiled Decorator.
type Decorator struct {
	Operation string
	Propagate bool
}

// Tracing is a compiled Tracing; each is of 10,000, the default 100%.
type Tracing struct {
	Client, Random, Overall *Fraction // nil: not given
	Spans                   *tracing.RouteSpans
}
