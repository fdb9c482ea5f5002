"""What tests of attention methods compute in the slow, literal way."""


def to_frames(steps, generation):
    """[steps, tokens] as the scores of a method."""
    return generation.timeline.to_frames(steps)


def own_values(generator, site):
    """A cross-attention site's values [heads, tokens, width], from the module's own weights."""
    embeddings = generator.encode_prompt(["a dog barks while rain falls"]).embeddings[0]
    module = site.module
    weight = module.v_proj.weight if hasattr(module, "v_proj") else module.in_proj_weight.chunk(3)[2]
    return (embeddings @ weight.T).unflatten(-1, (site.heads, -1)).transpose(0, 1)
