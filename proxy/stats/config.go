package stats

import (
	"regexp"
	"slices"
	"strings"

	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/weirproxy/weir/internal/field"
)

// Config is a bootstrap's stats_config: which tags the names have, which
// statistics are shown, and the buckets of histograms.
type Config struct {
	tagger tagger
	// hidden says which names are not shown; nil: all are.
	hidden  func(name string) bool
	buckets []bucketRule
}

type bucketRule struct {
	match  func(string) bool
	bounds []bound
}

// NewConfig reads a stats_config, whose path is p; nil gives the defaults. An
// error names the field.
func NewConfig(p field.Path, sc *metricsv3.StatsConfig) (*Config, error) {
	if err := field.Only(p, sc, "stats_tags", "use_all_default_tags", "stats_matcher", "histogram_bucket_settings", "allow_default_tag_overrides"); err != nil {
		return nil, err
	}
	c := &Config{}
	if err := c.setTags(p, sc); err != nil {
		return nil, err
	}
	if err := c.setMatcher(p.Dot("stats_matcher"), sc.GetStatsMatcher()); err != nil {
		return nil, err
	}
	for i, b := range sc.GetHistogramBucketSettings() {
		at := p.Dot("histogram_bucket_settings").Index(i)
		if err := field.Only(at, b, "match", "buckets", "bins"); err != nil { // bins: ours grow as needed
			return nil, err
		}
		match, err := stringMatcher(at.Dot("match"), b.GetMatch())
		if err != nil {
			return nil, err
		}
		values := slices.Sorted(slices.Values(b.GetBuckets()))
		if len(values) == 0 {
			continue // as in Envoy it is for bins only
		}
		if values[0] <= 0 || len(slices.Compact(slices.Clone(values))) != len(values) {
			return nil, at.Dot("buckets").Errorf("must be greater than 0 and unique")
		}
		c.buckets = append(c.buckets, bucketRule{match, newBounds(values...)})
	}
	return c, nil
}

// setTags makes the tagger: the default rules, then the configured ones. Of
// two with the same tag the first wins, or with allow_default_tag_overrides
// the configured one.
func (c *Config) setTags(p field.Path, sc *metricsv3.StatsConfig) error {
	var configured []rule
	for i, tag := range sc.GetStatsTags() {
		rules, err := newRules(p.Dot("stats_tags").Index(i), tag)
		if err != nil {
			return err
		}
		configured = append(configured, rules...)
	}
	rules := slices.Concat(anywhereRules, scopedRules)
	if sc.GetAllowDefaultTagOverrides().GetValue() {
		rules = slices.DeleteFunc(rules, func(r rule) bool {
			return slices.ContainsFunc(configured, func(own rule) bool { return own.tag == r.tag })
		})
	}
	if all := sc.GetUseAllDefaultTags(); all != nil && !all.GetValue() {
		rules = nil
	}
	for _, r := range append(rules, configured...) {
		if r.first == "" {
			c.tagger.anywhere = append(c.tagger.anywhere, r)
		} else {
			c.tagger.scoped = append(c.tagger.scoped, r)
		}
	}
	c.tagger.whole = slices.ContainsFunc(configured, func(r rule) bool { return r.pattern != nil })
	return nil
}

// startWord is how a pattern starts that only fits names with a certain first word.
var startWord = regexp.MustCompile(`^\^(\w+)(?:\\\.|\(\?=\\\.\))`)

func newRules(p field.Path, tag *metricsv3.TagSpecifier) ([]rule, error) {
	if tag.GetTagName() == "" {
		return nil, p.Dot("tag_name").Errorf("is empty")
	}
	switch v := tag.GetTagValue().(type) {
	case *metricsv3.TagSpecifier_FixedValue:
		return []rule{{tag: tag.GetTagName(), fixed: v.FixedValue}}, nil
	case *metricsv3.TagSpecifier_Regex:
		re, err := compilePattern(v.Regex)
		if err != nil {
			return nil, p.Dot("regex").Errorf("%v", err)
		}
		r := rule{tag: tag.GetTagName(), pattern: re}
		if m := startWord.FindStringSubmatch(v.Regex); m != nil {
			r.first = m[1] + "."
		}
		return []rule{r}, nil
	default:
		known := slices.DeleteFunc(slices.Concat(anywhereRules, scopedRules), func(r rule) bool { return r.tag != tag.GetTagName() })
		if len(known) == 0 {
			return nil, p.Errorf("has no regex, and %q is not a default tag", tag.GetTagName())
		}
		return known, nil
	}
}

func (c *Config) setMatcher(p field.Path, m *metricsv3.StatsMatcher) error {
	list := func(p field.Path, l *matcherv3.ListStringMatcher) (func(string) bool, error) {
		var any []func(string) bool
		for i, s := range l.GetPatterns() {
			match, err := stringMatcher(p.Dot("patterns").Index(i), s)
			if err != nil {
				return nil, err
			}
			any = append(any, match)
		}
		return func(name string) bool {
			return slices.ContainsFunc(any, func(match func(string) bool) bool { return match(name) })
		}, nil
	}
	var err error
	switch m := m.GetStatsMatcher().(type) {
	case *metricsv3.StatsMatcher_RejectAll:
		if m.RejectAll {
			c.hidden = func(string) bool { return true }
		}
	case *metricsv3.StatsMatcher_ExclusionList:
		c.hidden, err = list(p.Dot("exclusion_list"), m.ExclusionList)
	case *metricsv3.StatsMatcher_InclusionList:
		var shown func(string) bool
		shown, err = list(p.Dot("inclusion_list"), m.InclusionList)
		c.hidden = func(name string) bool { return !shown(name) }
	}
	return err
}

func stringMatcher(p field.Path, m *matcherv3.StringMatcher) (func(string) bool, error) {
	fold := func(s string) string { return s }
	if m.GetIgnoreCase() {
		fold = strings.ToLower
	}
	switch v := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		want := fold(v.Exact)
		return func(s string) bool { return fold(s) == want }, nil
	case *matcherv3.StringMatcher_Prefix:
		want := fold(v.Prefix)
		return func(s string) bool { return strings.HasPrefix(fold(s), want) }, nil
	case *matcherv3.StringMatcher_Suffix:
		want := fold(v.Suffix)
		return func(s string) bool { return strings.HasSuffix(fold(s), want) }, nil
	case *matcherv3.StringMatcher_Contains:
		want := fold(v.Contains)
		return func(s string) bool { return strings.Contains(fold(s), want) }, nil
	case *matcherv3.StringMatcher_SafeRegex:
		re, err := regexp.Compile("^(?:" + v.SafeRegex.GetRegex() + ")$")
		if err != nil {
			return nil, p.Dot("safe_regex").Errorf("%v", err)
		}
		return re.MatchString, nil
	default:
		return nil, p.Errorf("needs one of exact, prefix, suffix, contains, safe_regex")
	}
}

// bounds are the buckets of a histogram.
func (c *Config) bounds(prefix, name string) []bound {
	for _, r := range c.buckets {
		if r.match(prefix + name) {
			return r.bounds
		}
	}
	return defaultBounds
}

// hide removes from a group what the stats_matcher rejects.
func (c *Config) hide(g *groupSnapshot) {
	if c.hidden == nil {
		return
	}
	g.numbers = slices.DeleteFunc(slices.Clone(g.numbers), func(n number) bool { return c.hidden(g.scope.Prefix + n.name) })
	g.hists = slices.DeleteFunc(g.hists, func(h histogram) bool { return c.hidden(g.scope.Prefix + h.name) })
	g.texts = slices.DeleteFunc(g.texts, func(t text) bool { return c.hidden(g.scope.Prefix + t.name) })
}
