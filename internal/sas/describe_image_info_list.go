package sas

import (
	"context"
	"strings"

	"portolan"
	"portolan/internal/rpc"
)

type describeImageInfoListRequest struct {
	Uuids string `required:"true" doc:"Up to 100 Uuids, comma-separated." example:"01a20f2f-f375-76fd-bb89-b2bab8585b4a"`
}

type describeImageInfoListResponse struct {
	ImageInfos []imageInfo `doc:"The images in the order asked; unknown ones are left out."`
}

type imageInfo struct {
	findings
	placed
	Digest       string `doc:"The digest, without sha256:." example:"a3521b04dfdd1361a24be6263f2983cf12ba910989f4d9f7324da7e1e89f0a3c"`
	ImageCreate  int64  `doc:"When it was built, else when it came, in milliseconds." example:"1636962328000"`
	ImageID      string `json:"ImageId" doc:"The digest of its configuration; empty for a multi-platform image." example:"bb0175afea16138815a8900adeeb0315d88a83a2376eeffa14db1d693a15c1d2"`
	ImageSize    int64  `doc:"Bytes of manifest, configuration and layers." example:"157408623"`
	ImageUpdate  int64  `doc:"When its newest tag came to it, in milliseconds." example:"1636974116000"`
	RepoType     string `doc:"public if known to be, else private." example:"private"`
	SourceBizTag string `doc:"Always empty." example:""`
	Status       string `doc:"NORMAL." example:"NORMAL"`
	Tag          string `doc:"The newest tag; empty if untagged." example:"v1"`
	TagImmutable int    `doc:"Always 0: sources do not tell." example:"0"`
	UUID         string `json:"Uuid" doc:"The id of the image." example:"01a20f2f-f375-76fd-bb89-b2bab8585b4a"`
	ours
}

const maxUuids = 100

func (s *Service) describeImageInfoList() rpc.Endpoint {
	return rpc.Operation[describeImageInfoListRequest, describeImageInfoListResponse]{
		Spec: vendor("DescribeImageInfoList", rpc.List, "Shows images by their Uuids.", ""),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *describeImageInfoListRequest) (*describeImageInfoListResponse, error) {
			uuids := strings.FieldsFunc(req.Uuids, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' })
			if len(uuids) > maxUuids {
				return nil, portolan.Invalid("Uuids", "must have at most %d items", maxUuids)
			}
			list, err := s.DB.ImagesByUUID(ctx, caller.Principal.AccountID, uuids)
			if err != nil {
				return nil, err
			}
			byUUID := make(map[string]*portolan.Image, len(list))
			for i := range list {
				byUUID[list[i].UUID] = &list[i]
			}
			resp := &describeImageInfoListResponse{}
			for _, id := range uuids {
				if i := byUUID[id]; i != nil {
					resp.ImageInfos = append(resp.ImageInfos, imageInfoOf(i))
				}
			}
			return resp, nil
		},
	}.Endpoint()
}

func imageInfoOf(i *portolan.Image) imageInfo {
	return imageInfo{
		findings: noFindings(), placed: placeOf(&i.Repository), Digest: i.Digest.Wire(), ImageCreate: built(i).UnixMilli(), ImageID: i.ImageID.Wire(),
		ImageSize: i.Size, ImageUpdate: i.Updated.UnixMilli(), RepoType: repoType(&i.Repository), Status: statusNormal,
		Tag: portolan.NewestTag(i.Tags).Name, UUID: i.UUID, ours: oursOf(i),
	}
}
