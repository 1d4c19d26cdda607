package xds

import (
	"errors"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/anypb"
)

// collection is what is known of the resources of one type at one source, and
// who watches them. However many subscriptions there are, the source has one
// collection a type, so one subscription on the wire. Main goroutine only.
//
// It keeps what was accepted as bytes, to serve a later subscription to the
// same name at once: a server that has sent a version does not send it again.
type collection struct {
	client  *Client
	id      string // in client.collections
	typeURL string
	source  source
	status  Status

	subs     []*Subscription
	watched  map[string]int // subscriptions to a name
	all      int            // subscriptions to all
	revision int            // of the set of names
	fresh    []*Subscription
	posted   bool // settle is

	known map[string]stored // accepted resources that are watched, by name
	whole bool              // known is all that the source has
}

type stored struct {
	version string
	raw     *anypb.Any
}

// source brings a collection's resources: a stream, a file.
type source interface {
	// wantsChanged says that names were added to the collection or removed.
	wantsChanged(*collection)
	// unused says that the collection has no subscription any more; the
	// source drops it.
	unused(*collection)
}

func (c *collection) add(s *Subscription) {
	c.subs = append(c.subs, s)
	c.watch(s.names)
	c.settleLater(s)
}

// change gives s other names.
func (c *collection) change(s *Subscription, names map[string]bool) {
	old := s.names
	s.names = names
	c.watch(names)
	c.unwatch(old)
	c.settleLater(s)
}

func (c *collection) remove(s *Subscription) {
	c.subs = slices.DeleteFunc(c.subs, func(o *Subscription) bool { return o == s })
	c.unwatch(s.names)
	if len(c.subs) == 0 {
		c.source.unused(c)
		return
	}
	c.settleLater(nil)
}

func (c *collection) watch(names map[string]bool) {
	if names == nil {
		if c.all++; c.all == 1 {
			c.revision++
		}
	}
	for n := range names {
		if c.watched[n]++; c.watched[n] == 1 {
			c.revision++
		}
	}
}

// unwatch also forgets the resources that nobody watches any more.
func (c *collection) unwatch(names map[string]bool) {
	if names == nil {
		if c.all--; c.all == 0 {
			c.revision++
			c.whole = false
			maps.DeleteFunc(c.known, func(name string, _ stored) bool { return c.watched[name] == 0 })
		}
	}
	for n := range names {
		if c.watched[n]--; c.watched[n] == 0 {
			c.revision++
			delete(c.watched, n)
			if c.all == 0 {
				delete(c.known, n)
			}
		}
	}
}

// names is what to ask for, sorted; empty for all.
func (c *collection) names() []string {
	if c.all > 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(c.watched))
}

// settleLater has the source asked, once for all changes of this turn of the
// main goroutine, and s served with what is known already.
func (c *collection) settleLater(s *Subscription) {
	if s != nil {
		c.fresh = append(c.fresh, s)
	}
	if !c.posted {
		c.posted = true
		c.client.post(c.settle)
	}
}

func (c *collection) settle() {
	c.posted = false
	fresh := c.fresh
	c.fresh = nil
	if c.client.closed || len(c.subs) == 0 {
		return
	}
	c.source.wantsChanged(c)
	for _, s := range fresh {
		if !s.closed {
			c.serveKnown(s)
		}
	}
}

func (c *collection) serveKnown(s *Subscription) {
	names := slices.Sorted(maps.Keys(s.names))
	if s.names == nil {
		if s.served || !c.whole {
			return
		}
		names = slices.Sorted(maps.Keys(c.known))
	}
	u := update{version: c.status.Version, byName: map[string]int{}}
	for _, name := range names {
		k, ok := c.known[name]
		if !ok {
			continue
		}
		// It was accepted before, so it decodes.
		if r, err := decodeOne(c.typeURL, k.version, k.raw); err == nil {
			u.byName[name] = len(u.resources)
			u.resources = append(u.resources, r)
		}
	}
	if s.names != nil && len(u.resources) == 0 {
		return
	}
	if err := s.take(u); err != nil {
		c.client.log.Warn("xDS: resource rejected", "type", shortType(c.typeURL), "version", u.version, "error", err)
	}
}

// update is a decoded response.
type update struct {
	version   string
	resources []Resource
	byName    map[string]int // index in resources
	err       error          // why it could not be decoded
	twice     error          // a name came twice; the rest is taken
}

// update gives an update to the subscriptions. The error is for the NACK.
func (c *collection) update(u update) error {
	err, refusing := u.err, c.subs
	if err == nil {
		refusing, err = c.deliver(u)
	}
	if err != nil {
		c.reject(refusing, err)
		c.status.Rejected = &Rejection{Version: u.version, Time: time.Now(), Err: err}
		c.client.log.Warn("xDS: update rejected", "type", shortType(c.typeURL), "version", u.version, "error", err)
		return err
	}
	c.status = Status{Version: u.version, Updated: time.Now()}
	c.store(u)
	return nil
}

// deliver gives the subscriptions their parts. With an error come those that
// refuse the update: all, as a NACK is for all of it; but a file is of each
// subscription alone.
func (c *collection) deliver(u update) (refusing []*Subscription, err error) {
	var errs []error
	for _, s := range slices.Clone(c.subs) {
		if s.closed { // by the callback of another
			continue
		}
		if err := s.take(u); err != nil {
			errs, refusing = append(errs, err), append(refusing, s)
		}
	}
	if _, file := c.source.(*fileSource); !file {
		refusing = c.subs
	}
	return refusing, errors.Join(errs...)
}

// reject says that an update is refused. Those that took their part count it, too.
func (c *collection) reject(subs []*Subscription, err error) {
	for _, s := range slices.Clone(subs) {
		if !s.closed {
			s.rejected(err)
		}
	}
}

func (c *collection) store(u update) {
	if c.all > 0 {
		c.known, c.whole = make(map[string]stored, len(u.resources)), true
	}
	for _, r := range u.resources {
		if c.all > 0 || c.watched[r.Name] > 0 {
			c.known[r.Name] = stored{r.Version, r.Raw}
		}
	}
}

// removed forgets names, which the source has no more, and tells those who
// watch them.
func (c *collection) removed(names []string, version string) {
	for _, n := range names {
		delete(c.known, n)
	}
	for _, s := range slices.Clone(c.subs) {
		for _, n := range names {
			if !s.closed && s.names[n] {
				s.gone(n, version)
			}
		}
	}
}

// failed counts an attempt that brought nothing to judge.
func (c *collection) failed() {
	for _, s := range c.subs {
		s.stats.Inc(statAttempt)
		s.stats.Inc(statFailure)
		if s.req.OnLost != nil {
			s.req.OnLost()
		}
	}
}
