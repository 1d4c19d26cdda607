package lb

import (
	"strings"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// OverrideHost takes the hosts that a request names, one for each attempt, and
// then those of another policy.
type OverrideHost struct {
	Sources  []HostSource
	Selected *MetadataPath // where to note the host that was picked; nil: nowhere
	Fallback Policy
}

// HostSource is where a request names hosts, with commas between: a header or
// its metadata.
type HostSource struct {
	Header   string // lower case
	Metadata *MetadataPath
}

// MetadataPath is a place in metadata.
type MetadataPath struct {
	Namespace string
	Path      []string
}

// Name implements Policy.
func (*OverrideHost) Name() string { return "override_host" }

// NeedsActive implements ActiveSharer.
func (o *OverrideHost) NeedsActive() bool {
	a, ok := o.Fallback.(ActiveSharer)
	return ok && a.NeedsActive()
}

// New implements Policy.
func (o *OverrideHost) New(env Env) ThreadAware {
	return &overrides{OverrideHost: o, inner: o.Fallback.New(env)}
}

type overrides struct {
	*OverrideHost
	inner ThreadAware
}

// Factory implements ThreadAware.
func (o *overrides) Factory(hosts *cluster.PrioritySet) Factory {
	f := &overrideFactory{OverrideHost: o.OverrideHost, inner: o.inner.Factory(hosts), hosts: make(map[string]*cluster.Host, hosts.Total())}
	for h := range hosts.All {
		if _, has := f.hosts[h.Address.String()]; !has {
			f.hosts[h.Address.String()] = h
		}
	}
	return f
}

// Close implements ThreadAware.
func (o *overrides) Close() { o.inner.Close() }

type overrideFactory struct {
	*OverrideHost
	inner Factory
	hosts map[string]*cluster.Host // by address
}

// New implements Factory.
func (f *overrideFactory) New(s *cluster.Stats) Balancer {
	return &overrideBalancer{f, f.inner.New(s)}
}

type overrideBalancer struct {
	*overrideFactory
	fallback Balancer
}

// Choose implements Balancer.
func (b *overrideBalancer) Choose(ctx Context) *cluster.Host {
	h := b.named(ctx)
	if h == nil {
		h = b.fallback.Choose(ctx)
	}
	if info := ctx.StreamInfo(); h != nil && info != nil && b.Selected != nil {
		var v any = h.Address.String()
		path := b.Selected.Path
		for i := len(path) - 1; i > 0; i-- {
			v = map[string]any{path[i]: v}
		}
		info.SetMetadata(b.Selected.Namespace, path[0], v)
	}
	return h
}

// named is the host that the request names for its present attempt, nil when
// it names none that there is.
func (b *overrideBalancer) named(ctx Context) *cluster.Host {
	info := ctx.StreamInfo()
	if info == nil {
		return nil
	}
	left := max(info.AttemptCount-1, 0)
	for i := range b.Sources {
		list, ok := b.Sources[i].read(ctx)
		for ok && list != "" {
			var name string
			name, list, _ = strings.Cut(list, ",")
			h := b.hosts[strings.TrimSpace(name)]
			if h == nil {
				continue
			}
			if left == 0 {
				return h
			}
			left--
		}
	}
	return nil
}

func (s *HostSource) read(ctx Context) (string, bool) {
	if s.Header != "" {
		if h := ctx.RequestHeaders(); h != nil {
			return h.GetName(s.Header)
		}
		return "", false
	}
	return s.Metadata.Text(ctx.StreamInfo().Metadata)
}

// Text is the text at the place; ok is false when there is none.
func (p *MetadataPath) Text(in map[string]map[string]any) (text string, ok bool) {
	var v any = in[p.Namespace]
	for _, k := range p.Path {
		m, isMap := v.(map[string]any)
		if !isMap {
			return "", false
		}
		v = m[k]
	}
	text, ok = v.(string)
	return text, ok
}
