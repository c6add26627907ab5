package rpc

import (
	"encoding/hex"

	"yipan/internal/area"
	"yipan/internal/desk"
	nodev1 "yipan/internal/gen/yipan/node/v1"
)

func nodeMessage(v desk.NodeView) *nodev1.GetNodeResponse {
	return &nodev1.GetNodeResponse{
		Node: nodeOf(v.Node), Name: named(v.Name, v.Node.Area()), Version: v.Version, BrokerConnected: v.BrokerConnected,
		DirectorySerial: v.Serial, Cases: v.Cases, Now: instantOf(v.Now),
	}
}

func peerMessage(v desk.PeerView) *nodev1.Peer {
	return &nodev1.Peer{
		Node: nodeOf(v.Node), Name: named(v.Name, v.Node.Area()), Unsettled: v.Unsettled, OldestSeconds: int64(v.Oldest.Seconds()),
		Settled: v.Settled, Rejected: v.Rejected, LastHeardAt: instantOf(v.LastHeard), LastAgreedAt: instantOf(v.LastAgreed),
		Mended: v.Mended, RoundTripMs: v.RoundTrip.Milliseconds(),
	}
}

func entryMessage(v desk.DirectoryView) *nodev1.DirectoryEntry {
	m := &nodev1.DirectoryEntry{Serial: v.Serial, Node: nodeOf(v.Node), Name: named(v.Name, v.Node.Area()), Keys: v.Keys, Speaks: v.Speaks}
	for _, k := range v.Areas {
		m.Areas = append(m.Areas, areaOf(k))
	}
	return m
}

func foldMessage(v desk.FoldView) *nodev1.FoldDigest {
	return &nodev1.FoldDigest{
		CaseId: idOf(v.Case), X: areaOf(v.X), Y: areaOf(v.Y),
		Set: hex.EncodeToString(v.Set[:]), Fold: hex.EncodeToString(v.Fold[:]), Items: int32(v.Items), Report: v.Report,
	}
}

// named is the name that the desk gave, else that of the area.
func named(name string, k area.Key) string {
	if name != "" {
		return name
	}
	return area.FullName(k)
}
