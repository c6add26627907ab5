package rpc

import (
	"context"

	"yipan/internal/desk"
	nodev1 "yipan/internal/gen/yipan/node/v1"
)

// nodeService is yipan.node.v1.NodeService.
type nodeService struct {
	nodev1.UnimplementedNodeServiceServer
	desk    *desk.Desk
	version string
}

func (s *nodeService) GetNode(ctx context.Context, _ *nodev1.GetNodeRequest) (*nodev1.GetNodeResponse, error) {
	v, err := s.desk.Node(ctx, principal(ctx))
	if err != nil {
		return nil, err
	}
	if v.Version == "" {
		v.Version = s.version
	}
	return nodeMessage(v), nil
}

func (s *nodeService) ListPeers(ctx context.Context, _ *nodev1.ListPeersRequest) (*nodev1.ListPeersResponse, error) {
	peers, waiting, err := s.desk.Peers(ctx, principal(ctx))
	if err != nil {
		return nil, err
	}
	resp := &nodev1.ListPeersResponse{NoNodeYet: waiting}
	for _, p := range peers {
		resp.Peers = append(resp.Peers, peerMessage(p))
	}
	return resp, nil
}

func (s *nodeService) StartStatement(ctx context.Context, r *nodev1.StartStatementRequest) (*nodev1.StartStatementResponse, error) {
	d := &decoder{}
	peer := d.node("peer", r.GetPeer())
	if d.err != nil {
		return nil, d.err
	}
	n, err := s.desk.StartStatement(ctx, principal(ctx), peer)
	if err != nil {
		return nil, err
	}
	return &nodev1.StartStatementResponse{Started: int32(n)}, nil
}

func (s *nodeService) Resend(ctx context.Context, r *nodev1.ResendRequest) (*nodev1.ResendResponse, error) {
	d := &decoder{}
	peer := d.node("peer", r.GetPeer())
	if d.err != nil {
		return nil, d.err
	}
	n, err := s.desk.Resend(ctx, principal(ctx), peer, r.GetDryRun())
	if err != nil {
		return nil, err
	}
	return &nodev1.ResendResponse{Items: n}, nil
}

func (s *nodeService) ListDirectory(ctx context.Context, _ *nodev1.ListDirectoryRequest) (*nodev1.ListDirectoryResponse, error) {
	vs, err := s.desk.Directory(ctx, principal(ctx))
	if err != nil {
		return nil, err
	}
	resp := &nodev1.ListDirectoryResponse{}
	for _, v := range vs {
		resp.Entries = append(resp.Entries, entryMessage(v))
	}
	return resp, nil
}

func (s *nodeService) ListFolds(ctx context.Context, r *nodev1.ListFoldsRequest) (*nodev1.ListFoldsResponse, error) {
	d := &decoder{}
	size, token := d.pageSize(r.GetPageSize(), 5_000), d.text("page_token", r.GetPageToken(), maxToken)
	if d.err != nil {
		return nil, d.err
	}
	vs, next, err := s.desk.Folds(ctx, principal(ctx), size, token)
	if err != nil {
		return nil, err
	}
	resp := &nodev1.ListFoldsResponse{NextPageToken: next}
	for _, v := range vs {
		resp.Folds = append(resp.Folds, foldMessage(v))
	}
	return resp, nil
}
