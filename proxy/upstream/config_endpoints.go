package upstream

//lint:file-ignore SA1019 control planes still send the deprecated fields, and Envoy takes them

import (
	"math"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// EndpointSubscriber is who asks xDS for endpoints.
type EndpointSubscriber interface {
	// Subscribe asks for a service's endpoints, which come by
	// Manager.UpdateEndpoints, or Manager.EndpointsRejected or EndpointsTimedOut. They may come
	// before it returns.
	Subscribe(service string, source *corev3.ConfigSource) (cancel func(), err error)
}

// UpdateEndpoints takes the endpoints of an EDS service for the clusters that
// use it. A nil assignment means that the service is gone. On an error the
// old endpoints stay. version is the update's, for the statistics.
func (m *Manager) UpdateEndpoints(service, version string, a *endpointv3.ClusterLoadAssignment) error {
	as := &assignment{}
	if a != nil {
		var err error
		if as, err = compileAssignment(field.Path("cluster_load_assignment").Key(service), a, false); err != nil {
			return err
		}
	}
	m.assign(service, version, as)
	return nil
}

func compileAssignment(p field.Path, a *endpointv3.ClusterLoadAssignment, names bool) (*assignment, error) {
	out := &assignment{overprovisioning: cluster.DefaultOverprovisioning}
	pol := a.GetPolicy()
	if err := firstError(
		field.Only(p, a, "cluster_name", "endpoints", "policy"),
		field.Only(p.Dot("policy"), pol, "overprovisioning_factor", "weighted_priority_health", "drop_overloads", "endpoint_stale_after"),
	); err != nil {
		return nil, err
	}
	if f := pol.GetOverprovisioningFactor(); f != nil {
		out.overprovisioning = f.GetValue()
	}
	out.weightedHealth = pol.GetWeightedPriorityHealth()
	err := positive(p.Dot("policy").Dot("endpoint_stale_after"), pol.GetEndpointStaleAfter(), &out.stale)
	if err != nil {
		return nil, err
	}
	if out.drop, err = dropOverload(p.Dot("policy").Dot("drop_overloads"), pol.GetDropOverloads()); err != nil {
		return nil, err
	}
	if ds := pol.GetDropOverloads(); len(ds) > 0 {
		out.category = ds[0].GetCategory()
	}
	weights := map[uint32]uint64{}
	out.groups = make([]endpointGroup, 0, len(a.GetEndpoints()))
	for i, l := range a.GetEndpoints() {
		p := p.Dot("endpoints").Index(i)
		g, err := compileGroup(p, l, names)
		if err != nil {
			return nil, err
		}
		if weights[g.priority] += uint64(g.weight); weights[g.priority] > math.MaxUint32 {
			return nil, p.Dot("load_balancing_weight").Errorf("the localities of priority %d weigh more than %d together", g.priority, uint32(math.MaxUint32))
		}
		out.groups = append(out.groups, g)
	}
	return out, nil
}

// dropOverload is the part of the requests to refuse.
func dropOverload(p field.Path, ds []*endpointv3.ClusterLoadAssignment_Policy_DropOverload) (float64, error) {
	if len(ds) == 0 {
		return 0, nil
	}
	if len(ds) > 1 {
		return 0, p.Errorf("more than one category is not supported, by Envoy neither")
	}
	of := map[typev3.FractionalPercent_DenominatorType]float64{
		typev3.FractionalPercent_HUNDRED: 100, typev3.FractionalPercent_TEN_THOUSAND: 10000, typev3.FractionalPercent_MILLION: 1000000,
	}[ds[0].GetDropPercentage().GetDenominator()]
	n := float64(ds[0].GetDropPercentage().GetNumerator())
	if of == 0 || n > of {
		return 0, p.Index(0).Dot("drop_percentage").Errorf("%v of %v is no percentage", n, of)
	}
	return n / of, nil
}

func compileGroup(p field.Path, l *endpointv3.LocalityLbEndpoints, names bool) (g endpointGroup, err error) {
	if err := field.Only(p, l, "locality", "lb_endpoints", "load_balancing_weight", "priority", "metadata", "load_balancer_endpoints"); err != nil {
		return g, err
	}
	g.weight, g.priority = l.GetLoadBalancingWeight().GetValue(), l.GetPriority()
	if g.priority > 128 {
		return g, p.Dot("priority").Errorf("%d is above 128", g.priority)
	}
	g.locality = cluster.NoLocality
	if lo := l.GetLocality(); lo != nil {
		g.locality = &cluster.Locality{Region: lo.GetRegion(), Zone: lo.GetZone(), SubZone: lo.GetSubZone()}
	}
	if err := metadata(p.Dot("metadata"), l.GetMetadata(), &g.metadata); err != nil {
		return g, err
	}
	sum := uint64(0)
	list, p := l.GetLbEndpoints(), p.Dot("lb_endpoints")
	if x := l.GetLoadBalancerEndpoints(); x != nil {
		list = x.GetLbEndpoints()
	}
	g.endpoints = make([]endpoint, 0, len(list))
	for i, e := range list {
		p := p.Index(i)
		ep, err := compileEndpoint(p, e, names)
		if err != nil {
			return g, err
		}
		if sum += uint64(max(ep.weight, 1)); sum > math.MaxUint32 {
			return g, p.Dot("load_balancing_weight").Errorf("the endpoints of the locality weigh more than %d together", uint32(math.MaxUint32))
		}
		g.endpoints = append(g.endpoints, ep)
	}
	return g, nil
}

func compileEndpoint(p field.Path, e *endpointv3.LbEndpoint, names bool) (out endpoint, err error) {
	ep := e.GetEndpoint()
	if ep == nil {
		return out, p.Dot("endpoint").Errorf("missing")
	}
	if err := firstError(
		field.Only(p, e, "endpoint", "health_status", "metadata", "load_balancing_weight"),
		field.Only(p.Dot("endpoint"), ep, "address", "hostname", "health_check_config", "additional_addresses"),
		metadata(p.Dot("metadata"), e.GetMetadata(), &out.metadata),
		out.check.compile(p.Dot("endpoint").Dot("health_check_config"), ep.GetHealthCheckConfig()),
	); err != nil {
		return out, err
	}
	if w := e.GetLoadBalancingWeight(); w != nil {
		if out.weight = w.GetValue(); out.weight == 0 {
			return out, p.Dot("load_balancing_weight").Errorf("0 is less than 1")
		}
	}
	switch e.GetHealthStatus() {
	case corev3.HealthStatus_UNHEALTHY, corev3.HealthStatus_TIMEOUT:
		out.health = cluster.FailedEDSHealth
	case corev3.HealthStatus_DRAINING:
		out.health = cluster.EDSStatusDraining
	case corev3.HealthStatus_DEGRADED:
		out.health = cluster.DegradedEDSHealth
	}
	out.hostname = ep.GetHostname()
	if out.addr, out.name, err = address(p.Dot("endpoint").Dot("address"), ep.GetAddress(), names); err != nil {
		return out, err
	}
	return out, out.additional(p.Dot("endpoint").Dot("additional_addresses"), ep.GetAdditionalAddresses(), names)
}

// additional compiles an endpoint's further addresses, which connections try
// when the first does not answer at once.
func (e *endpoint) additional(p field.Path, as []*endpointv3.Endpoint_AdditionalAddress, names bool) error {
	for i, a := range as {
		p := p.Index(i)
		to, _, err := address(p.Dot("address"), a.GetAddress(), false)
		switch {
		case names:
			return p.Errorf("a DNS cluster's endpoints have no further addresses: their names may")
		case err != nil:
			return err
		case to.IsPipe() || e.addr.IsPipe():
			return p.Errorf("all addresses of an endpoint with several must be IP addresses")
		}
		if err := field.Only(p, a, "address"); err != nil {
			return err
		}
		e.more = append(e.more, to)
	}
	return nil
}

func (h *healthCheck) compile(p field.Path, c *endpointv3.Endpoint_HealthCheckConfig) (err error) {
	h.hostname, h.off = c.GetHostname(), c.GetDisableActiveHealthCheck()
	if c.GetPortValue() > 65535 {
		return p.Dot("port_value").Errorf("%d is not a port", c.GetPortValue())
	}
	h.port = uint16(c.GetPortValue())
	if a := c.GetAddress(); a != nil {
		if h.addr, _, err = address(p.Dot("address"), a, false); err != nil {
			return err
		}
	}
	return field.Only(p, c, "port_value", "hostname", "address", "disable_active_health_check")
}
