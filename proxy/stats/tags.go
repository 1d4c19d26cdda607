package stats

import (
	"regexp"
	"slices"
	"strings"
)

// tagger finds tags in names.
type tagger struct {
	// Tags that may be anywhere (response codes, fixed tags) come before those
	// of names that start with a certain word. The default ones of these are in
	// the scope and so found once for all names of a group, unless whole is set,
	// because a configured pattern may look at anything.
	anywhere, scoped []rule
	whole            bool
}

var defaultTagger = tagger{anywhere: anywhereRules, scoped: scopedRules}

// base is the scope's name without its tags.
func (t *tagger) base(s *Scope) (string, []Tag) {
	if s.Tags != nil {
		return s.Base, s.Tags
	}
	return cutTags(s.Prefix, t.scoped)
}

// split takes a whole name apart.
func (t *tagger) split(name string) (string, []Tag) {
	return cutTags(name, t.anywhere, t.scoped)
}

// A rule finds one of Envoy's default tags (its config/well_known_names): the
// first of the pattern's submatches is cut out of the name, the last one is
// the value. Names start with first, which decides most quickly. Without a
// pattern the tag is always there, with a fixed value.
type rule struct {
	first, tag string
	pattern    pattern
	fixed      string
}

// The rules in Envoy's order, which is that of the labels.
var anywhereRules = []rule{
	{"", "envoy.response_code", regexp.MustCompile(`_rq(_(\d{3}))$`), ""},
	{"", "envoy.response_code_class", regexp.MustCompile(`_rq_((\d))xx$`), ""},
	{"", "cipher_suite", regexp.MustCompile(`^cluster\.(?:.*\.)?ssl\.ciphers(\.(.+))$`), ""},
	{"", "envoy.ssl_cipher", regexp.MustCompile(`^listener\.(?:.*\.)?ssl\.ciphers(\.(.+))$`), ""},
	{"", "envoy.ssl_version", regexp.MustCompile(`^(?:cluster|listener)\.(?:.*\.)?ssl\.versions(\.(.+))$`), ""},
	{"", "envoy.ssl_curve", regexp.MustCompile(`^(?:cluster|listener)\.(?:.*\.)?ssl\.curves(\.(.+))$`), ""},
	{"", "envoy.ssl_sigalg", regexp.MustCompile(`^(?:cluster|listener)\.(?:.*\.)?ssl\.sigalgs(\.(.+))$`), ""},
	{"", "envoy.worker_id", regexp.MustCompile(`\bworker_((\d+)\.)`), ""},
}

var scopedRules = []rule{
	{"http.", "envoy.dynamo_operation", regexp.MustCompile(`^http\.[^.]*\.dynamodb\.(?:operation\.|table\..*?capacity\.)((.*?)(?:\.|$))`), ""},
	{"vhost.", "envoy.virtual_cluster", regexp.MustCompile(`^vhost\..*?\.vcluster\.((.*?)\.)`), ""},
	{"http.", "envoy.fault_downstream_cluster", regexp.MustCompile(`^http\.[^.]*\.fault\.((.*?)\.)`), ""},
	{"listener.", "envoy.tls_certificate", regexp.MustCompile(`^listener\..*?\.ssl\.certificate\.((.+)\.)`), ""},
	{"cluster.", "envoy.tls_certificate", regexp.MustCompile(`^cluster\..*?\.ssl\.certificate\.((.+)\.)`), ""},
	{"cluster.", "envoy.grpc_bridge_method", regexp.MustCompile(`^cluster\.[^.]*\.grpc\.[^.]*\.((.*?)\.)`), ""},
	{"cluster.", "envoy.grpc_bridge_service", regexp.MustCompile(`^cluster\.[^.]*\.grpc\.((.*?)\.)`), ""},
	{"cluster.", "envoy.health_check_name", regexp.MustCompile(`^cluster\..*?\.health_check\.(name\.(.*?)\.)`), ""},
	{"tcp.", "envoy.tcp_prefix", regexp.MustCompile(`^tcp\.((.*?)\.)`), ""},
	{"udp.", "envoy.udp_prefix", regexp.MustCompile(`^udp\.((.*?)\.)`), ""},
	{"ratelimit.", "envoy.ratelimit_prefix", regexp.MustCompile(`^ratelimit\.((.*?)\.)`), ""},
	{"cluster.", "envoy.cluster_name", regexp.MustCompile(`^cluster\.((.*?)\.)`), ""},
	{"http.", "envoy.http_conn_manager_prefix", regexp.MustCompile(`^http\.((.*?)\.)`), ""},
	{"listener.", "envoy.http_conn_manager_prefix", regexp.MustCompile(`^listener\..*?\.http\.((.*?)\.)`), ""},
	{"listener.", "envoy.listener_address", regexp.MustCompile(`^listener\.(([_.\d]*|[_\[\]a-fA-F\d]*)\.)`), ""},
	{"sds.", "envoy.xds_resource_name", regexp.MustCompile(`^sds\.((.+)\.)`), ""},
	{"vhost.", "envoy.virtual_host", regexp.MustCompile(`^vhost\.((.*?)\.)`), ""},
	{"http.", "envoy.rds_route_config", regexp.MustCompile(`^http\.[^.]*\.rds\.((.*)\.)`), ""},
}

// cutTags cuts the tags out of a name, or of a prefix of names. Each tag is
// found once, by the first rule that does.
func cutTags(name string, lists ...[]rule) (string, []Tag) {
	var tags []Tag
	var cut []bool // by byte of the name
	for _, rules := range lists {
		for _, r := range rules {
			if !strings.HasPrefix(name, r.first) || slices.ContainsFunc(tags, func(t Tag) bool { return t.Name == r.tag }) {
				continue
			}
			if r.pattern == nil {
				tags = append(tags, Tag{r.tag, r.fixed})
				continue
			}
			m := r.pattern.FindStringSubmatchIndex(name)
			if len(m) < 4 || m[2] < 0 { // or without a group, as Envoy takes it
				continue
			}
			value := name[m[2]:m[3]]
			if len(m) > 4 && m[4] >= 0 {
				value = name[m[4]:m[5]]
			}
			tags = append(tags, Tag{r.tag, strings.TrimRight(value, ".")}) // as all of Envoy's names
			if cut == nil {
				cut = make([]bool, len(name))
			}
			for i := m[2]; i < m[3]; i++ {
				cut[i] = true
			}
		}
	}
	if cut == nil {
		return name, tags
	}
	base := make([]byte, 0, len(name))
	for i := range cut {
		if !cut[i] {
			base = append(base, name[i])
		}
	}
	return string(base), tags
}
