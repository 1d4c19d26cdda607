package lb

//lint:file-ignore SA1019 control planes still send the deprecated fields, and Envoy takes them

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	maglevv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/maglev/v3"
	ringv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/ring_hash/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
)

func legacyRing(p field.Path, c *clusterv3.Cluster) (Policy, error) {
	m, p2 := c.GetRingHashLbConfig(), p.Dot("ring_hash_lb_config")
	r := RingHash{Murmur: m.GetHashFunction() == clusterv3.Cluster_RingHashLbConfig_MURMUR_HASH_2}
	err := firstError(
		legacyConsistent(p, c, &r.Consistent),
		ringSizes(p2, &r, m.GetMinimumRingSize(), m.GetMaximumRingSize()),
	)
	return r, err
}

func ringExtension(p field.Path, m *ringv3.RingHash) (Policy, error) {
	r := RingHash{Murmur: m.GetHashFunction() == ringv3.RingHash_MURMUR_HASH_2}
	r.LocalityWeighted = m.GetLocalityWeightedLbConfig() != nil
	r.UseHostname = m.GetUseHostnameForHashing()
	return r, firstError(
		field.Only(p, m, "hash_function", "minimum_ring_size", "maximum_ring_size", "use_hostname_for_hashing",
			"hash_balance_factor", "consistent_hashing_lb_config", "locality_weighted_lb_config"),
		balanceFactor(p.Dot("hash_balance_factor"), m.GetHashBalanceFactor(), &r.Consistent),
		consistentExtension(p, m.GetConsistentHashingLbConfig(), &r.Consistent),
		ringSizes(p, &r, m.GetMinimumRingSize(), m.GetMaximumRingSize()),
	)
}

func ringSizes(p field.Path, r *RingHash, least, most *wrapperspb.UInt64Value) error {
	r.MinSize, r.MaxSize = defaultMinRing, maxRing
	if least != nil {
		if r.MinSize = least.GetValue(); r.MinSize > maxRing {
			return p.Dot("minimum_ring_size").Errorf("%d is more than %d", r.MinSize, maxRing)
		}
	}
	if most != nil {
		if r.MaxSize = most.GetValue(); r.MaxSize > maxRing {
			return p.Dot("maximum_ring_size").Errorf("%d is more than %d", r.MaxSize, maxRing)
		}
	}
	if r.MinSize > r.MaxSize {
		return p.Errorf("ring hash: minimum_ring_size (%d) > maximum_ring_size (%d)", r.MinSize, r.MaxSize)
	}
	return nil
}

func legacyMaglev(p field.Path, c *clusterv3.Cluster) (Policy, error) {
	m := Maglev{}
	err := firstError(
		legacyConsistent(p, c, &m.Consistent),
		maglevTableSize(p.Dot("maglev_lb_config").Dot("table_size"), &m, c.GetMaglevLbConfig().GetTableSize()),
	)
	return m, err
}

func maglevExtension(p field.Path, c *maglevv3.Maglev) (Policy, error) {
	m := Maglev{}
	m.LocalityWeighted = c.GetLocalityWeightedLbConfig() != nil
	return m, firstError(
		field.Only(p, c, "table_size", "consistent_hashing_lb_config", "locality_weighted_lb_config"),
		consistentExtension(p, c.GetConsistentHashingLbConfig(), &m.Consistent),
		maglevTableSize(p.Dot("table_size"), &m, c.GetTableSize()),
	)
}

func maglevTableSize(p field.Path, m *Maglev, size *wrapperspb.UInt64Value) error {
	m.TableSize = defaultMaglevTable
	if size == nil {
		return nil
	}
	if m.TableSize = size.GetValue(); m.TableSize > maxMaglevTable {
		return p.Errorf("%d is more than %d", m.TableSize, maxMaglevTable)
	}
	if !isPrime(m.TableSize) {
		return p.Errorf("the table size of maglev must be a prime number, %d is not", m.TableSize)
	}
	return nil
}

func legacyConsistent(p field.Path, c *clusterv3.Cluster, out *Consistent) error {
	common := c.GetCommonLbConfig()
	out.LocalityWeighted = common.GetLocalityWeightedLbConfig() != nil
	m, p := common.GetConsistentHashingLbConfig(), p.Dot("common_lb_config").Dot("consistent_hashing_lb_config")
	if out.UseHostname = m.GetUseHostnameForHashing(); out.UseHostname && c.GetType() != clusterv3.Cluster_STRICT_DNS {
		return p.Dot("use_hostname_for_hashing").Errorf("cannot use hostnames for consistent hashing in a cluster of type %v", c.GetType())
	}
	return firstError(
		field.Only(p, m, "use_hostname_for_hashing", "hash_balance_factor"),
		balanceFactor(p.Dot("hash_balance_factor"), m.GetHashBalanceFactor(), out),
	)
}

func consistentExtension(p field.Path, m *commonv3.ConsistentHashingLbConfig, out *Consistent) error {
	if m == nil {
		return nil
	}
	p = p.Dot("consistent_hashing_lb_config")
	out.UseHostname, out.BalanceFactor = m.GetUseHostnameForHashing(), 0
	return firstError(
		field.Only(p, m, "use_hostname_for_hashing", "hash_balance_factor"),
		balanceFactor(p.Dot("hash_balance_factor"), m.GetHashBalanceFactor(), out),
	)
}

func balanceFactor(p field.Path, v *wrapperspb.UInt32Value, out *Consistent) error {
	if v == nil {
		return nil
	}
	if out.BalanceFactor = v.GetValue(); out.BalanceFactor < 100 {
		return p.Errorf("%d is less than 100", out.BalanceFactor)
	}
	return nil
}
