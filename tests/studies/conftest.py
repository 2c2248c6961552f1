from figure_fixtures import figures, picture

__all__ = ["figures", "picture"]
