"""Small pipelines of diffusers with random weights, saved in the layout of the released ones."""

from functools import cache

import torch

from tagxai.generators.embedded import WEIGHTS
from tagxai.generators.parts import quiet

WIDTH = 32


@cache
def text_parts():
    """The embedded models' tokenizer, for prompts of at most 24 tokens, and a small T5."""
    from transformers import AutoTokenizer, T5Config, T5EncoderModel

    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(WEIGHTS, model_max_length=24)
        shape = {"d_model": WIDTH, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 4}
        return tokenizer, T5EncoderModel(T5Config(vocab_size=len(tokenizer), dropout_rate=0.0, **shape)).eval()


def louder(module, factor):
    """Random weights let the text do little; these let it be heard."""
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name.startswith(("to_v", "to_out", "to_kv")):
                weight *= factor


def stable_audio():
    from diffusers import (
        AutoencoderOobleck,
        CosineDPMSolverMultistepScheduler,
        StableAudioDiTModel,
        StableAudioPipeline,
        StableAudioProjectionModel,
    )

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer, text_encoder = text_parts()
        transformer = StableAudioDiTModel(
            sample_size=20,
            in_channels=6,
            out_channels=6,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=4,
            num_key_value_attention_heads=2,
            cross_attention_dim=16,
            time_proj_dim=16,
            global_states_input_dim=2 * WIDTH,
            cross_attention_input_dim=WIDTH,
        )
        for block in transformer.transformer_blocks:
            louder(block.attn2, 6.0)
        vae = AutoencoderOobleck(8, [2, 5], [1, 2], 8, 6, audio_channels=2, sampling_rate=200)
        projection = StableAudioProjectionModel(WIDTH, WIDTH, 0, 64)
        pipe = StableAudioPipeline(
            vae=vae.eval(),
            text_encoder=text_encoder,
            projection_model=projection.eval(),
            tokenizer=tokenizer,
            transformer=transformer.eval(),
            scheduler=CosineDPMSolverMultistepScheduler(sigma_min=0.3, sigma_max=500, solver_order=2),
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def stable_audio_3(distilled=True, differential=True):
    """As medium; small checkpoints have plain attention."""
    from diffusers import (
        AutoencoderSAME,
        FlowMatchEulerDiscreteScheduler,
        StableAudio3DiTModel,
        StableAudio3Pipeline,
    )
    from diffusers.pipelines.stable_audio_3.modeling_stable_audio_3 import StableAudio3DurationEmbedder
    from transformers import T5GemmaConfig, T5GemmaEncoderModel
    from transformers.models.t5gemma.configuration_t5gemma import T5GemmaModuleConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer, _ = text_parts()
        shape = {"num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
        one = T5GemmaModuleConfig(vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=32, **shape)
        config = T5GemmaConfig(encoder=one, decoder=one, is_encoder_decoder=False, vocab_size=len(tokenizer))
        transformer = StableAudio3DiTModel(
            io_channels=6,
            embed_dim=32,
            depth=2,
            num_heads=2,
            cond_token_dim=WIDTH,
            global_cond_dim=WIDTH,
            local_add_cond_dim=7,
            timestep_features_dim=16,
            ff_mult=2.0,
            num_memory_tokens=3,
            use_differential_attention=differential,
        )
        for conv in (transformer.preprocess_conv, transformer.postprocess_conv):
            conv.weight.data.normal_(std=0.2)  # zeros in a new model
        transformer.prompt_padding_embedding.data.normal_()
        for block in transformer.transformer_blocks:
            louder(block.cross_attn, 6.0)
        vae = AutoencoderSAME(
            patch_size=5,
            encoder_channels=8,
            encoder_c_mults=(2,),
            encoder_strides=(2,),
            encoder_transformer_depths=(1,),
            latent_dim=6,
            dim_heads=8,
            sampling_rate=200,
        )
        pipe = StableAudio3Pipeline(
            vae=vae.eval(),
            text_encoder=T5GemmaEncoderModel(config).eval(),
            tokenizer=tokenizer,
            duration_embedder=StableAudio3DurationEmbedder(WIDTH, 16, 0.0, 8.0).eval(),
            transformer=transformer.eval(),
            scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, stochastic_sampling=distilled),
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@cache
def byte_level_tokenizer():
    """A tokenizer of Qwen's kind: words with their spaces, figures one by one, and an end that stands in the text."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    own = Tokenizer(models.BPE())
    pieces = Regex(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    own.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pieces, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    own.decoder = decoders.ByteLevel()
    text = ["a dog barks while rain falls and a bell rings", "# Instruction # Caption # Metas # Lyric # Languages en"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    own.train_from_iterator(text, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=own, pad_token="<|endoftext|>", eos_token="<|endoftext|>")


def ace_step(turbo=True):
    from diffusers import (
        AceStepPipeline,
        AceStepTransformer1DModel,
        AutoencoderOobleck,
        FlowMatchEulerDiscreteScheduler,
    )
    from diffusers.pipelines.ace_step import AceStepConditionEncoder
    from transformers import Qwen3Config, Qwen3Model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer = byte_level_tokenizer()
        heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
        shape = {"hidden_size": WIDTH, "intermediate_size": 32, **heads}
        text_encoder = Qwen3Model(Qwen3Config(vocab_size=len(tokenizer), num_hidden_layers=1, **shape))
        transformer = AceStepTransformer1DModel(
            num_hidden_layers=2,
            in_channels=18,
            audio_acoustic_hidden_dim=6,
            sliding_window=2,
            is_turbo=turbo,
            **shape,
        )
        for layer in transformer.layers:
            louder(layer.cross_attn, 6.0)
        encoder = AceStepConditionEncoder(
            text_hidden_dim=WIDTH,
            timbre_hidden_dim=6,
            num_lyric_encoder_hidden_layers=2,
            num_timbre_encoder_hidden_layers=1,
            sliding_window=4,
            **shape,
        )
        encoder.silence_latent.normal_()
        pipe = AceStepPipeline(
            vae=AutoencoderOobleck(8, [2, 5], [1, 2], 8, 6, audio_channels=2, sampling_rate=200).eval(),
            text_encoder=text_encoder.eval(),
            tokenizer=tokenizer,
            transformer=transformer.eval(),
            condition_encoder=encoder.eval(),
            scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def audioldm2():
    from diffusers import (
        AudioLDM2Pipeline,
        AudioLDM2ProjectionModel,
        AudioLDM2UNet2DConditionModel,
        AutoencoderKL,
        DDIMScheduler,
    )
    from transformers import (
        ClapConfig,
        ClapFeatureExtractor,
        ClapModel,
        GPT2Config,
        GPT2LMHeadModel,
        SpeechT5HifiGan,
        SpeechT5HifiGanConfig,
        T5TokenizerFast,
    )

    written, (_, text_encoder) = 24, text_parts()
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)
        tokenizer = T5TokenizerFast.from_pretrained(WEIGHTS, model_max_length=24)
        small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        audio = {"hidden_size": 16, "patch_embeds_hidden_size": 4, "depths": [1, 1], "num_attention_heads": [1, 1]}
        audio |= {"spec_size": 16, "num_mel_bins": 4, "patch_size": 2, "patch_stride": 2, "window_size": 2}
        clap = ClapConfig(
            text_config=small | {"vocab_size": 400, "pad_token_id": 1},
            audio_config=audio,
            projection_dim=16,
        )
        unet = AudioLDM2UNet2DConditionModel(
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            sample_size=16,
            in_channels=4,
            out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=((None, written, WIDTH), (None, written, WIDTH)),
            attention_head_dim=2,
        )
        for name, module in unet.named_modules():
            if name.endswith("attn2"):
                louder(module, 6.0)
        lower = ("DownEncoderBlock2D",) * 2, ("UpDecoderBlock2D",) * 2
        vae = AutoencoderKL(1, 1, *lower, block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4)
        vocoder = SpeechT5HifiGanConfig(
            model_in_dim=8,
            sampling_rate=400,
            upsample_initial_channel=8,
            upsample_rates=[5, 2],
            upsample_kernel_sizes=[10, 4],
            resblock_kernel_sizes=[3],
            resblock_dilation_sizes=[[1]],
            normalize_before=False,
        )
        gpt2 = GPT2Config(n_embd=written, n_layer=1, n_head=2, vocab_size=10, n_positions=64)
        gpt2.max_new_tokens, gpt2.bos_token_id, gpt2.eos_token_id = 8, None, None
        pipe = AudioLDM2Pipeline(
            vae=vae.eval(),
            text_encoder=ClapModel(clap).eval(),
            text_encoder_2=text_encoder,
            projection_model=AudioLDM2ProjectionModel(16, WIDTH, written).eval(),
            language_model=GPT2LMHeadModel(gpt2).eval(),
            tokenizer=roberta_tokenizer(),
            tokenizer_2=tokenizer,
            feature_extractor=ClapFeatureExtractor(),
            unet=unet.eval(),
            scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
            vocoder=SpeechT5HifiGan(vocoder).eval(),
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def roberta_tokenizer():
    """Letters, each with the space before it, and RoBERTa's own tokens."""
    from tokenizers import pre_tokenizers
    from transformers import RobertaTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *alphabet]
    return RobertaTokenizerFast(vocab={name: i for i, name in enumerate(names)}, merges=[], model_max_length=40)
