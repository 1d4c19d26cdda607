package stats

import (
	"regexp"
	"strings"
)

// base is the scope's name without its tags.
func (s *Scope) base() (string, []Tag) {
	if s.Base != "" {
		return s.Base, s.Tags
	}
	return extractTags(s.Prefix)
}

// A rule finds one of Envoy's default tags (its config/well_known_names): the
// first of the pattern's submatches is cut out of the name, the last one is
// the value. Names start with first, which decides most quickly.
type rule struct {
	first, tag string
	pattern    *regexp.Regexp
}

// The rules in Envoy's order, which is that of the labels.
var rules = []rule{
	{"http.", "envoy.dynamo_operation", regexp.MustCompile(`^http\.[^.]*\.dynamodb\.(?:operation\.|table\..*?capacity\.)((.*?)(?:\.|$))`)},
	{"vhost.", "envoy.virtual_cluster", regexp.MustCompile(`^vhost\..*?\.vcluster\.((.*?)\.)`)},
	{"http.", "envoy.fault_downstream_cluster", regexp.MustCompile(`^http\.[^.]*\.fault\.((.*?)\.)`)},
	{"listener.", "envoy.ssl_cipher", regexp.MustCompile(`^listener\..*?\.ssl\.cipher(\.(.*?))$`)},
	{"cluster.", "envoy.ssl_cipher_suite", regexp.MustCompile(`^cluster\.[^.]*\.ssl\.ciphers(\.(.*?))$`)},
	{"cluster.", "envoy.grpc_bridge_method", regexp.MustCompile(`^cluster\.[^.]*\.grpc\.[^.]*\.((.*?)\.)`)},
	{"cluster.", "envoy.grpc_bridge_service", regexp.MustCompile(`^cluster\.[^.]*\.grpc\.((.*?)\.)`)},
	{"tcp.", "envoy.tcp_prefix", regexp.MustCompile(`^tcp\.((.*?)\.)`)},
	{"udp.", "envoy.udp_prefix", regexp.MustCompile(`^udp\.((.*?)\.)`)},
	{"ratelimit.", "envoy.ratelimit_prefix", regexp.MustCompile(`^ratelimit\.((.*?)\.)`)},
	{"cluster.", "envoy.cluster_name", regexp.MustCompile(`^cluster\.((.*?)\.)`)},
	{"http.", "envoy.http_conn_manager_prefix", regexp.MustCompile(`^http\.((.*?)\.)`)},
	{"listener.", "envoy.http_conn_manager_prefix", regexp.MustCompile(`^listener\..*?\.http\.((.*?)\.)`)},
	{"listener.", "envoy.worker_id", regexp.MustCompile(`^listener\..*?\.worker_((\d+)\.)`)},
	{"thread_local_cluster_manager.", "envoy.worker_id", regexp.MustCompile(`^thread_local_cluster_manager\.worker_((\d+)\.)`)},
	{"server.", "envoy.worker_id", regexp.MustCompile(`^server\.worker_((\d+)\.)`)},
	{"listener.", "envoy.listener_address", regexp.MustCompile(`^listener\.(([_.\d]*|[_\[\]a-fA-F\d]*)\.)`)},
	{"vhost.", "envoy.virtual_host", regexp.MustCompile(`^vhost\.((.*?)\.)`)},
	{"http.", "envoy.rds_route_config", regexp.MustCompile(`^http\.[^.]*\.rds\.((.*)\.)`)},
}

// extractTags cuts the tags out of a name, or of a prefix of names.
func extractTags(name string) (string, []Tag) {
	var tags []Tag
	var cuts [][2]int
	for _, r := range rules {
		if !strings.HasPrefix(name, r.first) {
			continue
		}
		m := r.pattern.FindStringSubmatchIndex(name)
		if m == nil {
			continue
		}
		tags = append(tags, Tag{r.tag, name[m[4]:m[5]]})
		cuts = append(cuts, [2]int{m[2], m[3]})
	}
	base := []byte(name)
	for at := len(base) - 1; at >= 0; at-- {
		for _, c := range cuts {
			if at >= c[0] && at < c[1] {
				base = append(base[:at], base[at+1:]...)
				break
			}
		}
	}
	return string(base), tags
}

// extractCode finds the response code, or its class, that ends a name:
// upstream_rq_200 becomes upstream_rq, upstream_rq_2xx upstream_rq_xx.
func extractCode(name string) (string, Tag) {
	i := strings.LastIndex(name, "_rq_")
	if i < 0 || len(name) != i+7 {
		return name, Tag{}
	}
	code := name[i+4:]
	switch {
	case !digit(code[0]):
	case code[1:] == "xx":
		return name[:i+4] + "xx", Tag{"envoy.response_code_class", code[:1]}
	case digit(code[1]) && digit(code[2]):
		return name[:i+3], Tag{"envoy.response_code", code}
	}
	return name, Tag{}
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
