package health

import (
	"encoding/json"
	"time"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// logEvent is envoy.data.core.v3.HealthCheckEvent as protobuf prints it.
type logEvent struct {
	Type             string        `json:"health_checker_type"`
	Host             hostAddress   `json:"host"`
	ClusterName      string        `json:"cluster_name"`
	Eject            *failureType  `json:"eject_unhealthy_event,omitempty"`
	AddHealthy       *firstCheck   `json:"add_healthy_event,omitempty"`
	Timestamp        string        `json:"timestamp"`
	Failure          *failureEvent `json:"health_check_failure_event,omitempty"`
	Degraded         *struct{}     `json:"degraded_healthy_host,omitempty"`
	NoLongerDegraded *struct{}     `json:"no_longer_degraded_host,omitempty"`
	Metadata         *metadata     `json:"metadata,omitempty"`
	Locality         localityName  `json:"locality"`
	Success          *struct{}     `json:"successful_health_check_event,omitempty"`
}

type (
	failureType struct {
		FailureType string `json:"failure_type"`
		HTTPStatus  int    `json:"http_status_code"`
	}
	firstCheck struct {
		FirstCheck bool `json:"first_check"`
	}
	failureEvent struct {
		FailureType string `json:"failure_type"`
		FirstCheck  bool   `json:"first_check"`
		HTTPStatus  int    `json:"http_status_code"`
	}
	metadata struct {
		Filter cluster.Metadata `json:"filter_metadata"`
		Typed  struct{}         `json:"typed_filter_metadata"`
	}
	localityName struct {
		Region  string `json:"region"`
		Zone    string `json:"zone"`
		SubZone string `json:"sub_zone"`
	}
	hostAddress struct {
		Socket *socketAddress `json:"socket_address,omitempty"`
		Pipe   *pipe          `json:"pipe,omitempty"`
	}
	socketAddress struct {
		Protocol   string `json:"protocol"`
		Address    string `json:"address"`
		Port       uint16 `json:"port_value"`
		Resolver   string `json:"resolver_name"`
		IPv4Compat bool   `json:"ipv4_compat"`
		Namespace  string `json:"network_namespace_filepath"`
	}
	pipe struct {
		Path string `json:"path"`
		Mode uint32 `json:"mode"`
	}
)

var failureNames = [...]string{active: "ACTIVE", passive: "PASSIVE", networkFailure: "NETWORK", timedOut: "NETWORK_TIMEOUT"}

// log writes an event about the session's host.
func (c *Checker) log(s *session, fill func(*logEvent)) {
	if len(c.logs) == 0 {
		return
	}
	h := s.host
	e := &logEvent{
		Type: c.cfg.typeName(), ClusterName: c.o.Info.Name,
		Timestamp: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		Locality:  localityName{h.Locality.Region, h.Locality.Zone, h.Locality.SubZone},
	}
	if h.Address.IsPipe() {
		e.Host.Pipe = &pipe{Path: h.Address.Path}
	} else {
		e.Host.Socket = &socketAddress{Protocol: "TCP", Address: h.Address.Addr().String(), Port: h.Address.Port()}
	}
	if m := h.Metadata(); m != nil {
		e.Metadata = &metadata{Filter: m}
	}
	fill(e)
	line, err := json.Marshal(e)
	if err != nil {
		return
	}
	for _, l := range c.logs {
		l.Write(append(line[:len(line):len(line)], '\n'))
	}
}
