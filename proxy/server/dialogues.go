package server

import (
	"errors"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds"
)

const (
	hdsPath field.Path = "hds_config"
	lrsPath field.Path = "cluster_manager.load_stats_config"
)

// checkDialogues refuses management servers that cannot be spoken to.
func (s *server) checkDialogues() (err error) {
	for path, api := range map[field.Path]*corev3.ApiConfigSource{hdsPath: s.bootstrap.GetHdsConfig(), lrsPath: s.bootstrap.GetClusterManager().GetLoadStatsConfig()} {
		if api != nil && !namesNobody(api) {
			err = errors.Join(err, s.xds.CheckDialogue(path, api))
		}
	}
	return err
}

// namesNobody tells that an ApiConfigSource has no server. Envoy goes without,
// and so does weir.
func namesNobody(api *corev3.ApiConfigSource) bool {
	return len(api.GetGrpcServices()) == 0 && api.GetApiType() == corev3.ApiConfigSource_GRPC
}

// startDialogues starts health discovery and load reports, where they are
// asked for.
func (s *server) startDialogues() error {
	return errors.Join(s.startHealthDiscovery(), s.startLoadReports())
}

// converse opens a dialogue with a management server.
func (s *server) converse(api *corev3.ApiConfigSource, d xds.Dialogue) error {
	if namesNobody(api) {
		s.main.Warn(string(d.Path) + " names no server: nothing is done for it")
		return nil
	}
	_, err := s.xds.Converse(api, d)
	return err
}
