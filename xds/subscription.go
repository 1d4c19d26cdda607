package xds

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
)

// Request asks for a subscription.
type Request struct {
	Source  *corev3.ConfigSource
	Path    field.Path // where Source is in the configuration, for errors
	TypeURL string
	Names   []string // nil: all that the server has for this node (LDS, CDS)

	// OnUpdate takes an update: all resources for nil Names (what is missing
	// is gone), otherwise those of the names that changed since OnUpdate last
	// took them. Its error becomes the NACK's; it may have applied a part.
	OnUpdate func(resources []Resource, version string) error

	// OnFailure, if not nil, says that an update was rejected, by OnUpdate, of
	// another subscription to the type or before any saw it; or that none came
	// in time (once).
	OnFailure func(Failure, error)

	// OnRemoved, if not nil, says that the server has no such resource (any
	// more), which only a delta or REST server can tell.
	OnRemoved func(name string)

	// OnLost, if not nil, says that an attempt brought nothing to judge: the
	// connection was lost, a file could not be read.
	OnLost func()

	// Stats counts the subscription, and its stream if that is not ADS. May
	// be nil.
	Stats Stats
}

// Failure is why a subscription has nothing new.
type Failure int

const (
	// TimedOut: nothing came within the source's initial_fetch_timeout. The
	// subscription goes on.
	TimedOut Failure = iota
	// Rejected: a response could not be decoded or validated.
	Rejected
)

func (f Failure) String() string {
	return [...]string{"initial fetch timed out", "update rejected"}[f]
}

// Subscription is a watch on some resources of one type at one source. Its
// methods are for the main goroutine.
type Subscription struct {
	req    Request
	stats  Stats
	in     *collection
	names  map[string]bool   // nil: all
	taken  map[string]uint64 // hashes of the resources that OnUpdate took, by name
	served bool              // OnUpdate was called
	timer  *time.Timer       // initial_fetch_timeout; nil once it does not matter
	closed bool
}

// defaultFetchTimeout is ConfigSource.initial_fetch_timeout's default.
const defaultFetchTimeout = 15 * time.Second

// Subscribe begins a subscription. An error is one of configuration; that the
// server cannot be reached is not. No callback is called before Subscribe has
// returned.
func (c *Client) Subscribe(req Request) (*Subscription, error) {
	if c.closed {
		return nil, errors.New("the xDS client is closed")
	}
	col, err := c.collectionFor(req)
	if err != nil {
		return nil, err
	}
	s := &Subscription{req: req, stats: orNoStats(req.Stats), in: col, names: nameSet(req.Names), taken: map[string]uint64{}}
	s.stats.Declare(subscriptionCounters...)
	timeout := defaultFetchTimeout
	if t := req.Source.GetInitialFetchTimeout(); t != nil {
		timeout = t.AsDuration()
	}
	if timeout > 0 {
		s.timer = time.AfterFunc(timeout, func() { c.post(s.timedOut) })
	}
	if _, file := col.source.(*fileSource); !file { // reading it is the attempt, counted then
		s.stats.Inc(statAttempt)
	}
	col.add(s)
	return s, nil
}

// Update changes the names. It has no meaning for a subscription to all.
func (s *Subscription) Update(names []string) {
	if s.closed || s.names == nil {
		return
	}
	set := nameSet(append([]string{}, names...))
	maps.DeleteFunc(s.taken, func(name string, _ uint64) bool { return !set[name] })
	s.in.change(s, set)
}

// Close ends the subscription; no callback is called afterwards.
func (s *Subscription) Close() {
	if s.closed {
		return
	}
	s.closed = true
	s.stopTimer()
	s.in.remove(s)
	s.stats.Close()
}

// Status is what /config_dump shows of the subscription.
func (s *Subscription) Status() Status { return s.in.status }

// Status is the state of a type at a source.
type Status struct {
	Version  string    // of the last accepted update
	Updated  time.Time // when that was
	Rejected *Rejection
}

// Rejection is an update that was not accepted; it is forgotten when one is.
type Rejection struct {
	Version string
	Time    time.Time
	Err     error
}

func nameSet(names []string) map[string]bool {
	if names == nil {
		return nil
	}
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}

func (s *Subscription) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

func (s *Subscription) timedOut() {
	if s.closed || s.timer == nil {
		return
	}
	s.timer = nil
	s.stats.Inc(statAttempt)
	s.stats.Inc(statInitTimeout)
	s.fail(TimedOut, fmt.Errorf("no %s from the management server yet", shortType(s.req.TypeURL)))
}

func (s *Subscription) fail(f Failure, err error) {
	if s.req.OnFailure != nil {
		s.req.OnFailure(f, err)
	}
}

// gone says that the source has no resource of this name, which counts as an
// update.
func (s *Subscription) gone(name, version string) {
	s.stopTimer()
	delete(s.taken, name)
	if s.req.OnRemoved != nil {
		s.req.OnRemoved(name)
	}
	s.stats.Inc(statAttempt)
	s.succeeded(version)
}

// rejected says that an update was not taken.
func (s *Subscription) rejected(err error) {
	s.stopTimer()
	s.stats.Inc(statAttempt)
	s.stats.Inc(statRejected)
	s.fail(Rejected, err)
}

// take gives s its part of an update, or nothing if that has not changed.
func (s *Subscription) take(u update) error {
	part := u.resources
	if s.names != nil {
		part = nil
		found := false
		for name := range s.names {
			i, ok := u.byName[name]
			if !ok {
				continue
			}
			found = true
			// Each update of a runtime layer loads it.
			if hash, ok := s.taken[name]; !ok || hash != u.resources[i].Hash || s.req.TypeURL == RuntimeType {
				part = append(part, u.resources[i])
			}
		}
		if !found {
			return s.missing(u)
		}
	}
	s.served = true
	s.stopTimer()
	_, isDelta := s.in.source.(*delta)
	if isDelta {
		s.stats.Inc(statAttempt) // even if it fails, which counts again
	}
	if s.names == nil || len(part) > 0 {
		begun := time.Now()
		if err := s.req.OnUpdate(part, u.version); err != nil || u.twice != nil {
			return errors.Join(u.twice, err)
		}
		s.stats.Took(time.Since(begun))
	}
	if !isDelta {
		s.stats.Inc(statAttempt)
	}
	if s.names != nil {
		for _, r := range part {
			s.taken[r.Name] = r.Hash
		}
	}
	s.succeeded(u.version)
	return nil
}

// missing is what an update means that has nothing of what s wants: on a stream
// it is for others, but a file is there for s.
func (s *Subscription) missing(u update) error {
	if _, file := s.in.source.(*fileSource); !file {
		return nil
	}
	if t := s.req.TypeURL; len(u.resources) == 0 && t != SecretType && t != RuntimeType {
		return nil
	}
	s.rejected(fmt.Errorf("no %s of the wanted name: %v", shortType(s.req.TypeURL), slices.Sorted(maps.Keys(s.names))))
	return nil // others may have theirs
}

func (s *Subscription) succeeded(version string) {
	s.stats.Inc(statSuccess)
	s.stats.Set(statVersion, xxhash.Sum64String(version))
	s.stats.SetText(statVersionText, version)
	s.stats.Set(statUpdateTime, uint64(time.Now().UnixMilli()))
}
