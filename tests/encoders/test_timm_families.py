"""timm's families differ in what they call the width of their features and in the image sizes that they take."""

import pytest
import torch

from rnc_lightning.encoders import TimmEncoder

# The width of the pooled features of the first six is not what timm calls `num_features`.
CHEAP = (
    "mobilenetv3_small_050", "mobilenetv4_conv_small_035", "ghostnet_050", "lcnet_035", "efficientvit_b0",
    "hardcorenas_a", "mobilenetv2_050", "convnext_atto", "edgenext_xx_small", "regnetx_002", "starnet_s1",
    "tinynet_e", "test_vit", "test_efficientnet", "levit_128s",
)  # fmt: skip
OTHERS = (
    "vgg11", "hgnetv2_b0", "hgnet_tiny", "mobilenetv3_large_100", "ghostnetv2_100", "mambaout_femto",
    "inception_next_atto", "resnet18", "efficientnet_lite0", "densenet121", "mobilevit_xxs", "mobileone_s0",
    "fastvit_t8", "repvgg_a0", "poolformer_s12", "pvt_v2_b0", "mnasnet_small", "dla34", "selecsls42", "rexnet_100",
    "repvit_m0_9", "vovnet39a", "cspresnet50", "dpn48b", "resnetv2_18", "hrnet_w18_small", "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224", "mixer_s16_224", "xcit_nano_12_p16_224", "cait_xxs24_224", "coat_lite_tiny",
    "crossvit_tiny_240", "twins_pcpvt_small", "eva02_tiny_patch14_224", "nest_tiny", "visformer_tiny", "volo_d1_224",
)  # fmt: skip


@pytest.mark.parametrize("name", [*CHEAP, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_the_width_is_that_of_the_pooled_features(name: str) -> None:
    size = 64 if name in CHEAP else None
    encoder = TimmEncoder(name, img_size=size)
    assert encoder.training
    height, width = (size, size) if size else encoder.model.default_cfg["input_size"][1:]
    with torch.no_grad():
        assert encoder.eval()(torch.zeros(1, 3, height, width)).shape == (1, encoder.num_features)


def test_building_draws_what_timm_draws_and_moves_no_statistics() -> None:
    import timm

    torch.manual_seed(3)
    model = timm.create_model("resnet10t", num_classes=0)
    drawn_after = torch.rand(3)
    torch.manual_seed(3)
    encoder = TimmEncoder("resnet10t")
    assert torch.equal(torch.rand(3), drawn_after)
    expected = model.state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in encoder.model.state_dict().items())


@pytest.mark.parametrize("size", [96, 160])
def test_a_vision_transformer_takes_the_size_of_the_images(size: int) -> None:
    encoder = TimmEncoder("test_vit", img_size=size)
    assert encoder(torch.zeros(2, 3, size, size)).shape == (2, 64)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("inception_v3", {"img_size": 32}, "inception_v3 does not take images of 32 x 32 pixels"),
        ("test_vit", {"img_size": 8}, "test_vit"),
        ("resnet10t", {"kwargs": {"global_pool": ""}}, "no pooled features"),
        ("resnet10t", {"kwargs": {"features_only": True}}, "no pooled features"),
        ("resnet10t", {"kwargs": {"num_classes": 3}}, "kwargs: num_classes is set by the suite"),
        ("resnet10t", {"kwargs": {"bogus": 1}}, "could not build 'resnet10t'"),
    ],
)
def test_what_a_model_does_not_take_is_one_line(name: str, settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        TimmEncoder(name, **settings)
    assert len(str(refused.value).splitlines()) == 1
