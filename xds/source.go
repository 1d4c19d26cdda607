package xds

import (
	"encoding/hex"
	"os"
	"path/filepath"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/internal/field"
)

// collectionFor finds the collection of the request's type at its source, or
// makes it.
func (c *Client) collectionFor(req Request) (*collection, error) {
	path, src := req.Path, req.Source
	if err := field.Only(path, src, "path", "path_config_source", "api_config_source", "ads",
		"initial_fetch_timeout", "resource_api_version"); err != nil {
		return nil, err
	}
	if v := src.GetResourceApiVersion(); v != corev3.ApiVersion_AUTO && v != corev3.ApiVersion_V3 {
		return nil, path.Dot("resource_api_version").Errorf("%s is no longer supported, set V3", v)
	}
	switch s := src.GetConfigSourceSpecifier().(type) {
	case *corev3.ConfigSource_Ads:
		return c.adsCollection(path.Dot("ads"), req.TypeURL)
	case *corev3.ConfigSource_ApiConfigSource:
		return c.apiCollection(path.Dot("api_config_source"), s.ApiConfigSource, req)
	case *corev3.ConfigSource_PathConfigSource:
		return c.fileCollection(path.Dot("path_config_source"), s.PathConfigSource, req.TypeURL)
	case *corev3.ConfigSource_Path:
		//lint:ignore SA1019 Envoy still takes it
		return c.fileCollection(path, &corev3.PathConfigSource{Path: s.Path}, req.TypeURL)
	}
	return nil, path.Errorf("no source: set path_config_source, api_config_source or ads")
}

func (c *Client) adsCollection(path field.Path, typeURL string) (*collection, error) {
	if c.ads == nil {
		return nil, path.Errorf("dynamic_resources.ads_config must be set for this")
	}
	if err := c.checkNode(path); err != nil {
		return nil, err
	}
	return c.streamCollection("", typeURL, func() wire {
		if c.ads.delta {
			return c.newDelta("", adsDeltaMethod, c.ads, c.stats)
		}
		return c.newSotw("", adsMethod, c.ads, c.stats)
	}), nil
}

func (c *Client) apiCollection(path field.Path, api *corev3.ApiConfigSource, req Request) (*collection, error) {
	t, err := c.apiTarget(path, api, req.TypeURL == SecretType)
	if err != nil {
		return nil, err
	}
	if err := c.checkNode(path); err != nil {
		return nil, err
	}
	service, ok := services[req.TypeURL]
	if !ok {
		return nil, path.Errorf("weir knows no service for %s", req.TypeURL)
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(api)
	if err != nil {
		return nil, path.Wrap(err)
	}
	key := "api " + hex.EncodeToString(raw) + " " + req.TypeURL
	if service.stream == "" && !t.delta {
		return nil, path.Dot("api_type").Errorf("%s needs DELTA_GRPC", shortType(req.TypeURL))
	}
	if t.rest != nil {
		return c.restCollection(key, req.TypeURL, service.rest, t), nil
	}
	return c.streamCollection(key, req.TypeURL, func() wire {
		if t.delta {
			return c.newDelta(key, service.delta, t, orNoStats(req.Stats))
		}
		return c.newSotw(key, service.stream, t, orNoStats(req.Stats))
	}), nil
}

// streamCollection is the collection of a type on the stream named key, which
// is opened if there is none.
func (c *Client) streamCollection(key, typeURL string, open func() wire) *collection {
	id := key + " " + typeURL
	if col := c.collections[id]; col != nil {
		return col
	}
	s := c.streams[key]
	if s == nil {
		s = open()
		c.streams[key] = s
	}
	col := c.newCollection(id, typeURL, s)
	s.addType(col)
	return col
}

func (c *Client) fileCollection(path field.Path, p *corev3.PathConfigSource, typeURL string) (*collection, error) {
	if err := field.Only(path, p, "path", "watched_directory"); err != nil {
		return nil, err
	}
	if err := field.Only(path.Dot("watched_directory"), p.GetWatchedDirectory(), "path"); err != nil {
		return nil, err
	}
	name := filepath.Clean(p.Path)
	if _, err := os.Stat(name); err != nil {
		return nil, path.Dot("path").Wrap(err)
	}
	id := "file " + name + " " + p.GetWatchedDirectory().GetPath() + " " + typeURL
	if col := c.collections[id]; col != nil {
		return col, nil
	}
	f := &fileSource{client: c, path: name}
	if dir := p.GetWatchedDirectory().GetPath(); dir != "" {
		f.dir, f.anyName = filepath.Clean(dir), true
	} else {
		f.dir = filepath.Dir(name)
	}
	if err := c.files.add(f); err != nil {
		return nil, path.Wrap(err)
	}
	f.col = c.newCollection(id, typeURL, f)
	return f.col, nil
}

func (c *Client) newCollection(id, typeURL string, s source) *collection {
	col := &collection{client: c, id: id, typeURL: typeURL, source: s,
		watched: map[string]int{}, known: map[string]stored{}}
	c.collections[id] = col
	return col
}
